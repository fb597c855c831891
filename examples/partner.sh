#!/bin/sh
# A partner's whole way by curl alone: an API key, a hold, its payment, its cancellation, the refund, and the signed
# webhooks that tell of it all. Needs curl and openssl; python3 stands in for the partner's own web server.
#
#   ROWLOCK_API_KEY=rlk_… examples/partner.sh [http://127.0.0.1:8080 [venues/1]]
#
# The key needs the permissions read, book, pay, refund and webhooks; docs/partners.md says how to make one. Name the venue
# if it is narrowed to one. Rowlock must be allowed to send to this machine: ROWLOCK_DELIVERY_PRIVATE_NETWORKS=true rowlock up
set -eu

url=${1:-http://127.0.0.1:8080}
received=$(mktemp -d)
receiver=
trap 'test -z "$receiver" || kill "$receiver"; rm -r "$received"' EXIT

# call METHOD PATH [JSON] prints the answer; a refusal is shown and ends the script.
call() {
  curl --silent --show-error --fail-with-body --request "$1" "$url$2" \
    ${token:+--header "Authorization: Bearer $token"} \
    ${3:+--header "Content-Type: application/json" --data "$3"} \
    ${key:+--header "Idempotency-Key: $key"}
}

# first NAME prints the first text of that name in the JSON on standard input; what has none is shown and ends the script.
first() {
  answer=$(cat)
  found=$(printf '%s\n' "$answer" | grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4)
  if test -z "$found"; then
    printf '%s\n' "$answer" >&2
    return 1
  fi
  printf '%s\n' "$found"
}

# The partner's web server: it keeps each message as it came (a folder with its id, timestamp, signature and body) and
# answers 204. A real one checks the signature first: see examples/python/webhook_receiver.py.
python3 -c '
import http.server, os, pathlib, sys

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        kept = pathlib.Path(sys.argv[1], f"{len(os.listdir(sys.argv[1])):03}")
        fresh = kept.with_name("." + kept.name)
        fresh.mkdir()
        for part in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            (fresh / part).write_text(self.headers[part])
        (fresh / "body").write_bytes(body)
        fresh.rename(kept)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
pathlib.Path(sys.argv[1], "port").write_text(f"{server.server_port}\n")
server.serve_forever()
' "$received" &
receiver=$!
until test -s "$received/port"; do sleep 0.1; done

# await TYPE waits until a message of this type was received.
await() {
  until grep -qs "\"type\": *\"$1\"" "$received"/*/body; do sleep 0.2; done
  echo "told of $1"
}

# A token for the key. It lasts for minutes; the key is sent nowhere else.
token=$(call POST /v1/auth:exchangeApiKey "{\"apiKey\": \"$ROWLOCK_API_KEY\"}" | first accessToken)

# Where messages are to be sent. The secret that they are signed with is told once, here.
wanted="{\"uri\": \"http://127.0.0.1:$(cat "$received/port")\", \"kinds\": [\"BOOKING\", \"PAYMENT\", \"REFUND\", \"TICKET\"]}"
endpoint=$(call POST /v1/users/me/webhookEndpoints "$wanted")
secret=$(printf '%s\n' "$endpoint" | first secret)
endpoint=$(printf '%s\n' "$endpoint" | first name)
call POST "/v1/$endpoint:test" '{}' >/dev/null
await test

# Two seats side by side, held. The Idempotency-Key makes a second try of the same thing harmless.
performance=$(call GET "/v1/performances?onlyAvailable=true&pageSize=1${2:+&venue=$2}" | first name)
kind=$(call GET "/v1/$performance/ticketTypes" | first name)
wish="{\"bestAvailable\": {\"quantity\": 2, \"ticketType\": \"$kind\"}, \"note\": \"for a customer of ours\"}"
key="partner-example-$$-$(date +%s)"
booking=$(call POST "/v1/$performance/bookings" "$wish" | first name)
test "$booking" = "$(call POST "/v1/$performance/bookings" "$wish" | first name)"
key=
echo "held $booking"
await booking.held

# Payment. The simulator is approved by a call; other providers say in approvalUri where to send the customer.
payment=$(call POST "/v1/$booking/payments" '{"payment": {"provider": "SIMULATOR"}}' | first name)
call POST "/v1/$payment:simulate" '{"outcome": "APPROVE"}' >/dev/null
await payment.succeeded
await booking.confirmed
test "$(call GET "/v1/$booking" | first state)" = CONFIRMED
call GET "/v1/$booking/tickets" | grep -o '"name": *"[^"]*"'

# The customer gives it up: the seats are free again at once, and the money goes back by the house's rules.
call POST "/v1/$booking:cancel" '{}' >/dev/null
await booking.cancelled
await refund.succeeded
test "$(call GET "/v1/$booking" | first state)" = CANCELLED
test "$(call GET "/v1/$payment/refunds" | first state)" = SUCCEEDED

# No more messages. What the log of changes has can be read at any time, whether or not a message arrived.
call DELETE "/v1/$endpoint" >/dev/null
call GET "/v1/changes?kinds=BOOKING&pageSize=1000" | grep -o '"type": *"booking[^"]*"' | sort | uniq -c

# Every message is signed, as https://www.standardwebhooks.com has it: HMAC-SHA256 of id.timestamp.body by the secret.
hex=$(echo "${secret#whsec_}" | openssl base64 -d -A | od -A n -t x1 | tr -d ' \n')
for message in "$received"/[0-9]*; do
  signature=$(
    { printf '%s.%s.' "$(cat "$message/webhook-id")" "$(cat "$message/webhook-timestamp")" && cat "$message/body"; } |
      openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -binary | openssl base64 -A
  )
  if test "$(cat "$message/webhook-signature")" != "v1,$signature"; then
    echo "not signed by Rowlock: $message" >&2
    exit 1
  fi
  echo "signed: $(first type <"$message/body") $(grep -o '"name": *"[^"]*"' "$message/body" | head -n 1)"
done
