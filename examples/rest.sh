#!/bin/sh
# A ticket by REST and curl alone: from sign-up to the PDF. Needs curl and python3 (to read JSON).
#
#   examples/rest.sh [http://127.0.0.1:8080]
#
# The ticket goes to ticket.pdf, or where TICKET_FILE says. `rowlock up` serves what this calls, with performances on sale and a provider of payments that plays customers' parts.
set -eu

url=${1:-http://127.0.0.1:8080}
email="ada-$(date +%s)-$$@example.org"
password="correct horse battery"

# call METHOD PATH [JSON] prints the answer; a refusal is shown and ends the script.
call() {
  curl --silent --show-error --fail-with-body --request "$1" "$url$2" \
    --header "Authorization: Bearer ${token:-}" \
    ${3:+--header "Content-Type: application/json" --data "$3"} \
    ${key:+--header "Idempotency-Key: $key"}
}

# field NAME prints a field of the JSON on standard input: state, events.0.name …
field() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for part in sys.argv[1].split("."):
    value = value[int(part) if part.isdigit() else part]
print(value)' "$1"
}

# An account, and a session. Public calls need no token, but one that is sent must be valid: so none is.
public() { curl --silent --show-error --fail-with-body "$url$1" --header "Content-Type: application/json" --data "$2"; }
public /v1/auth:signUp "{\"email\": \"$email\", \"password\": \"$password\", \"displayName\": \"Ada\"}" >/dev/null
token=$(public /v1/auth:logIn "{\"email\": \"$email\", \"password\": \"$password\"}" | field accessToken)
echo "signed up as $email"

# What is on.
performance=$(call GET "/v1/performances?onlyAvailable=true&pageSize=1" | field performances.0.name)
kind=$(call GET "/v1/$performance/ticketTypes" | field ticketTypes.0.name)
echo "booking for $performance"

# Two seats side by side. The Idempotency-Key makes a second try of the same thing harmless: it gives the same booking.
key="rest-example-$$-book"
wish="{\"bestAvailable\": {\"quantity\": 2, \"ticketType\": \"$kind\"}}"
booking=$(call POST "/v1/$performance/bookings" "$wish" | field name)
again=$(call POST "/v1/$performance/bookings" "$wish" | field name)
test "$booking" = "$again"
key=
echo "held $booking until $(call GET "/v1/$booking" | field holdExpireTime)"

# Payment. The simulator is approved by a call; other providers say in approvalUri where to send the customer.
payment=$(call POST "/v1/$booking/payments" '{"payment": {"provider": "SIMULATOR"}}' | field name)
call POST "/v1/$payment:simulate" '{"outcome": "APPROVE"}' >/dev/null

# A worker confirms the booking. (GET /v1/$booking:watch streams it: one line of JSON for each change.)
until test "$(call GET "/v1/$booking" | field state)" = CONFIRMED; do sleep 0.2; done
echo "paid and confirmed"

# The ticket.
ticket=$(call GET "/v1/$booking/tickets" | field tickets.0.name)
call GET "/v1/$ticket:document" >"${TICKET_FILE:-ticket.pdf}"
echo "${TICKET_FILE:-ticket.pdf} is $ticket"
