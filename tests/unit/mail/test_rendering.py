"""What mails say: every kind has words, as text and as a page; nobody writes markup by a name; templates can be own."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from server.mail import formats
from server.mail.previewing import write_samples
from server.mail.rendering import Renderer
from server.mail.samples import sample
from server.states import NotificationKind, RefundMethod

PUBLIC = "https://tickets.example.org"


@pytest.mark.promise("4.3")
@pytest.mark.parametrize("kind", NotificationKind, ids=lambda kind: kind.name)
@pytest.mark.parametrize("public_url", ["", PUBLIC])
def test_every_kind_has_words(kind: NotificationKind, public_url: str) -> None:
    facts = sample(kind)
    words = Renderer(public_url=public_url, sender="The House").render(facts)

    assert words.subject == words.subject.strip() != ""
    assert words.text.startswith("Hello Ada Lovelace,\n\n")
    assert "Hello Ada Lovelace," in words.html
    assert "The House" in words.text
    assert words.inbox.strip()
    links = set(re.findall(r"https://[\w./-]*\w", words.text))
    assert links <= set(facts.data.values()) or public_url
    assert ("<a href" in words.html) <= bool(public_url)
    for shown in (words.text, words.inbox, words.html):
        assert "None" not in shown
        assert "\n\n\n" not in words.text


@pytest.mark.parametrize("kind", [NotificationKind.EMAIL_VERIFICATION, NotificationKind.PASSWORD_RESET])
def test_a_code_is_in_the_mail_and_never_in_the_inbox(kind: NotificationKind) -> None:
    facts = sample(kind)
    assert facts.code is not None
    renderer = Renderer(public_url=PUBLIC)
    words = renderer.render(facts)
    assert facts.code.text in words.text
    assert f"#code={facts.code.text}" in words.html
    assert facts.code.text not in words.inbox
    assert facts.code.text not in words.subject
    assert facts.code.text not in renderer.render_for_inbox(facts).body


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    facts = sample(NotificationKind.BOOKING_CONFIRMED)
    assert facts.performance is not None
    facts = replace(
        facts, name="<script>alert(1)</script>", performance=replace(facts.performance, title='"><img src=x>')
    )
    words = Renderer().render(facts)
    assert "<script>" not in words.html
    assert "<img" not in words.html
    assert "&lt;script&gt;" in words.html


def test_a_subject_is_one_line_of_what_can_be_seen() -> None:
    facts = replace(sample(NotificationKind.ANNOUNCEMENT), words=("One\r\nBcc: x\u202e\u200b two" + "!" * 300, "x"))
    subject = Renderer().render(facts).subject
    assert subject.startswith("One Bcc: x two!!!")
    assert len(subject) == 200


def test_paragraphs_of_plain_text_stay_paragraphs() -> None:
    facts = replace(sample(NotificationKind.ANNOUNCEMENT), words=("S", "One\ntwo\n\n\n<b>three</b>\n"))
    words = Renderer().render(facts)
    assert "One<br>two</p>" in words.html
    assert "&lt;b&gt;three&lt;/b&gt;</p>" in words.html


def test_an_installation_has_templates_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "refund.txt").write_text(
        '{% extends "layout.txt" %}{% block subject %}Geld zurück{% endblock %}{% block body %}Bitte.{% endblock %}'
    )
    renderer = Renderer(templates=tmp_path)
    words = renderer.render(sample(NotificationKind.REFUND))
    assert words.subject == "Geld zurück"
    assert "Bitte." in words.text
    assert "We have given back" in words.html, "the other file is still Rowlock's"
    assert renderer.render(sample(NotificationKind.ADMISSION)).subject.startswith("It is your turn")


def test_a_template_with_a_wrong_name_is_an_error_and_not_a_gap(tmp_path: Path) -> None:
    (tmp_path / "refund.txt").write_text(
        '{% extends "layout.txt" %}{% block subject %}{{ amuont }}{% endblock %}{% block body %}{% endblock %}'
    )
    renderer = Renderer(templates=tmp_path)
    with pytest.raises(UndefinedError, match="amuont"):
        renderer.render(sample(NotificationKind.REFUND))
    folder = tmp_path / "preview"
    assert set(write_samples(renderer, folder)) == {"refund"}
    assert "Your tickets" in (folder / "index.html").read_text()
    assert (folder / "booking_confirmed.html").exists()
    assert not (folder / "refund.html").exists()


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(125000, "EUR", "1,250.00 EUR"), (5, "EUR", "0.05 EUR"), (1250, "JPY", "1,250 JPY"), (1250, "KWD", "1.250 KWD")],
)
def test_money_is_written_as_its_currency_has_it(minor: int, currency: str, shown: str) -> None:
    assert formats.money(minor, currency) == shown


def test_times_are_those_of_the_performance() -> None:
    summer = datetime(2027, 7, 1, 18, 30, tzinfo=UTC)
    assert formats.moment(summer, "Europe/Berlin") == "Thursday, 1 July 2027, 20:30 (Europe/Berlin)"
    assert formats.moment(summer.isoformat(), "America/New_York").startswith("Thursday, 1 July 2027, 14:30")
    assert formats.moment(summer, "Nowhere/Land").startswith("Thursday, 1 July 2027, 18:30")


@pytest.mark.parametrize(
    ("way", "proof", "said"),
    [
        (None, "", "the way you paid. It takes some days"),
        (RefundMethod.CASH, "", "in cash, since it could not go back the way you paid."),
        (RefundMethod.BANK_TRANSFER, "SEPA 4711", "by bank transfer (SEPA 4711), since it could not"),
        (RefundMethod.OTHER, "voucher 8", "in another way than you paid (voucher 8), since"),
    ],
)
def test_a_refund_says_how_the_money_comes_back(way: RefundMethod | None, proof: str, said: str) -> None:
    facts = sample(NotificationKind.REFUND)
    assert facts.amount is not None
    words = Renderer(public_url="", sender="The House").render(
        replace(facts, amount=replace(facts.amount, way=way, proof=proof))
    )
    assert said in " ".join(words.text.split())
    assert said in " ".join(words.html.split())
