from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from tradebus.brokers.redaction import Redactor

SECRETS = st.text(min_size=4, max_size=40).filter(lambda text: "*" not in text)


@given(st.lists(SECRETS, max_size=4), st.text(max_size=40))
def test_no_secret_is_left_in_a_text(secrets: list[str], around: str):
    redactor = Redactor(secrets)
    shown = redactor.text(around.join([*secrets, *(quote(secret, safe="") for secret in secrets)]))
    for secret in secrets:
        assert secret not in shown


def test_a_longer_secret_goes_before_one_it_contains():
    assert Redactor(["token", "token-and-more"]).text("x token-and-more y") == "x *** y"


def test_words_too_short_to_be_secrets_stay():
    assert Redactor(["abc"]).text("abc") == "abc"
