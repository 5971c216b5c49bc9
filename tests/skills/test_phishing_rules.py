import time

import pytest

from skillyard.skills import Catalogue, Skill, Source
from skillyard.skills.cases import load_cases

REQUEST = "From: Harbrook Bank <service@harbrook.example>\n\nPlease confirm your account today: "


@pytest.fixture(scope="module")
def phishing(catalogue: Catalogue) -> Skill:
    return catalogue.load("detect-phishing")


def signals(skill: Skill, text: str) -> list[str] | None:
    value = skill.run_library(Source(text))
    return value and value["signals"]


def test_rules_convict_the_plain_cases_and_never_clear_a_message(phishing: Skill) -> None:
    said = {case.id: value["is_phishing"] for case in load_cases(phishing) if (value := phishing.run_library(case.source))}
    plain = ("number-as-host-under-a-shown-address", "hard-lookalike-letters", "spanish-name-before-a-strange-owner")
    assert said == dict.fromkeys(plain, True)


@pytest.mark.parametrize(
    ("link", "signal"),
    [
        ("http://203.0.113.9:8080/in", "number_as_host"),
        ("http://3405803785/", "number_as_host"),
        ("https://harbrook.example@203-login.example/", "hidden_target"),
        ("https://harbr00k-login.example/", "lookalike_domain"),
        ("https://h\u0430rbrook.example/", "lookalike_domain"),
        ("https://xn--hrbrook-2fg.example/", "lookalike_domain"),
        ("https://harbrok.example/", "lookalike_domain"),
        ("https://harbrook.example.login-desk.example/", "lookalike_domain"),
    ],
)
def test_a_link_under_a_false_name_is_seen(phishing: Skill, link: str, signal: str) -> None:
    assert signals(phishing, REQUEST + link) == [signal, "asks_for_credentials"]


@pytest.mark.parametrize(
    "text",
    [
        "[www.harbrook.example](http://203.0.113.9/)",
        '<a class="x" href="http://203.0.113.9/">https://harbrook.example/login</a>',
        "harbrook.example/login <http://203.0.113.9/>",
        "www.harbrook.example (http://203.0.113.9/)",
    ],
)
def test_an_address_shown_over_another_ones_is_reported_beside_the_proof(phishing: Skill, text: str) -> None:
    assert signals(phishing, REQUEST + text) == ["number_as_host", "link_elsewhere", "asks_for_credentials"]


@pytest.mark.parametrize(
    "link",
    [
        "https://www.harbrook.example/login",
        "https://login.harbrook.example/?mail=ana@rivers.example",
        "http://192.168.1.1/setup",
        "https://[bad",
        "https://click.letterpost.example/1",
        "[www.harbrook.example](https://click.letterpost.example/1)",
        "http://203.0.113.9/ is what phishing looks like",
    ],
)
def test_what_honest_mail_holds_too_is_left_to_a_model(phishing: Skill, link: str) -> None:
    assert signals(phishing, REQUEST + link) is None


@pytest.mark.parametrize("piece", ["http://a.b ", "[a](http://b)", "<a href=http://a", "a.example <http://b.example> ", "@a.example "])
def test_a_text_full_of_links_is_read_in_seconds(phishing: Skill, piece: str) -> None:
    started = time.process_time()
    phishing.run_library(Source((REQUEST + piece * 4_000)[:20_000]))
    assert time.process_time() - started < 5
