"""Passwords that are tried first.

``COMMON`` are whole passwords of eight characters and more; ``STEMS`` are words that people decorate with a few
digits and signs. Both are folded to lower case.
"""

from typing import Final

COMMON: Final = frozenset(
    """
    00000000 11111111 12121212 12341234 12344321 12345678 123456789 1234567890 0123456789 0987654321 987654321
    87654321 11223344 11112222 13131313 21212121 22222222 31415926 55555555 66666666 69696969 77777777 88888888
    99999999 98765432 112233445566 123123123 123321123 147258369 159357159 159753456 741852963 789456123 963852741
    1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 2wsx3edc 3edc4rfv q1w2e3r4 q1w2e3r4t5
    q1w2e3r4t5y6 qazwsxedc qazwsxedcrfv zaq12wsx zaq1zaq1 zaq1xsw2 qwer1234 qwerasdf qweasdzxc qweqweqwe
    qwertyui qwertyuiop qwertzui qwertzuiop azertyui azertyuiop asdfghjk asdfghjkl asdfasdf asdf1234 zxcvbnm1
    zxcvbnm123 zxcvbnma 1234qwer 1234asdf 123qweasd 123qwe123 abcd1234 abcd12345 abc12345 abc123456 aaaa1111
    a1b2c3d4 a1s2d3f4 1a2b3c4d aa123456 qq123456 asd12345 asd123456 abcdefgh abcdefghi abcabcabc aabbccdd
    iloveyou iloveyou1 iloveyou2 ilovegod ilovejesus iloveme1 loveyou1 lovelove loveislife ilikecats
    password passw0rd passwort passwords p4ssword pa55word mypassword password1 password12 password123 newpassword
    nopassword thepassword yourpassword mypassword1 passpass pass1234 pass12345 temp1234 test1234 testtest testing1
    letmein1 letmein123 letmeinn openopen opensesame sesame123 changeme changeme1 changeit changethis welcome1
    welcome12 welcome123 welcome2 welcomehome trustno1 whatever whatever1 superman superman1 batman123 spiderman
    starwars startrek pokemon1 pikachu1 pokemon123 nintendo playstation xbox3600 minecraft minecraft1 fortnite
    football football1 baseball baseball1 basketball softball volleyball hockey123 soccer123 liverpool chelsea1
    arsenal1 barcelona realmadrid juventus manchester manutd99 benfica1 yankees1 cowboys1 steelers patriots packers1
    lakers24 broncos1 rangers1 redskins dolphins marlboro mercedes corvette mustang1 porsche1 ferrari1 chevrolet
    princess princess1 sunshine sunshine1 shadow12 shadow123 michelle michelle1 jennifer jennifer1 jessica1 jonathan
    jordan23 michael1 michaela charlie1 daniel12 danielle nicholas nicole12 anthony1 alexander alexandra andrea12
    ashley12 brandon1 brittany christian christine christopher elizabeth gabriela gabriel1 benjamin patricia
    patrick1 samantha samantha1 stephanie victoria victoria1 veronica vanessa1 sebastian rebecca1 katherine kimberly
    matthew1 isabella isabelle margaret mariposa natalie1 william1 thomas12 computer computer1 internet internet1
    download explorer windows1 microsoft samsung1 facebook google123 linkedin1 administrator admin123 admin1234
    admin12345 adminadmin root1234 rootroot toor1234 master12 master123 masterkey access14 default1 guest123 user1234
    username userpass secret12 secret123 topsecret security system32 manager1 operator supervisor service1 support1
    database oracle123 postgres postgresql cisco123 raspberry ubuntu12 linux123 hello123 hello1234 hellohello
    helloworld hiphop12 rockstar rockyou1 metallica slipknot nirvana1 eminem12 beatles1 butterfly chocolate
    strawberry blueberry pineapple cheesecake hamburger pepsicola cocacola coffee123 cookie12 cookies1 cupcake1
    banana12 cherry12 elephant kangaroo crocodile hedgehog squirrel snoopy12 scoobydoo tinkerbell garfield dragon12
    dragon123 monkey12 monkey123 tiger123 tigers12 phoenix1 panther1 wildcats bulldogs lovebird blackcat catdog12
    maverick wolverine gandalf1 gangster terminator undertaker thunder1 warcraft starcraft lineage2 counter1
    counterstrike killer12 killer123 hunter12 hunter123 ranger12 soldier1 marine12 airborne freedom1 america1
    american1 canada12 england1 germany1 scotland brasil123 mexico12 california florida1 newyork1 london12 paris123
    sydney12 summer12 summer123 summer2024 summer2025 winter12 winter123 winter2024 winter2025 spring2024 spring2025
    autumn12 january1 february1 december september october1 november monday12 sunday12 birthday happy123 happyday
    happiness friends1 forever1 forever21 familia1 family123 godisgood jesus123 jesuschrist christ12 blessed1
    heaven12 angel123 angels12 babygirl babygirl1 babyboy1 sweetheart sweetie1 beautiful beautiful1 princesa
    teamo123 teamomucho tequiero contrasena contrasenia senha123 motdepasse doudou12 chouchou loulou12 bonjour1
    azerty123 schatz12 hallo123 passwort1 ficken12 geheim12 sommer12 wachtwoord welkom01 welkom123 haslo123 qwerty12
    qwerty123 qwerty1234 qwerty12345 qwerty123456 qwerty1q 1qwerty1 123456qwerty 123456789a 123456789q 123456aa
    a12345678 a123456789 q123456789 1234567a 12345678a 12345qwert 1234567q 12345abc 123456ab 123abc123 54321qwe
    7777777a 741852963a 5201314520 woaini1314 woaini520 woaini123 wang1234 zhang123 li123456 xiaoming parola12
    natasha1 nastya12 marina12 svetlana vladimir ekaterina qwerty777 privet12 privet123 lubov123 dragonball naruto12
    naruto123 sasuke12 onepiece anime123 skywalker stargate matrix12 matrix123 jamesbond bond0007 agent007 letmepass
    sk8board skateboard snowboard motorola blackberry nokia123 ninja123 ninjas12 turtles1 titanic1 cinema12 theatre1
    ticket12 tickets1 ticket123 boxoffice rowlock1 rowlock123
    """.split()  # noqa: SIM905 - a page of words reads better than as many quotes
)

STEMS: Final = frozenset(
    """
    password passwort passwd pass motdepasse contrasena senha haslo parola wachtwoord qwerty qwertz azerty asdf asdfgh
    zxcvbn zxcvbnm letmein welcome willkommen welkom bienvenue admin administrator root master secret geheim login
    access changeme default guest user test tester testing temp hello hallo iloveyou ilove love lovely monkey dragon
    football baseball soccer hockey superman batman spiderman starwars pokemon princess sunshine shadow summer winter
    spring autumn herbst sommer abc abcd abcde abcdef computer internet samsung google facebook trustno whatever
    freedom ninja mustang michael jordan jennifer jessica charlie daniel ashley liverpool chelsea arsenal barcelona
    rowlock ticket tickets
    """.split()  # noqa: SIM905 - a page of words reads better than as many quotes
)
