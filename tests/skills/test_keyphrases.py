from hypothesis import given, settings
from hypothesis import strategies as st

from skillyard.skills import Catalogue, Source, run_checks

PIECES = st.sampled_from(
    [
        "The roof terrace of Alder House is closed for the winter",
        "the roof\nterrace needs new tiles",
        "Die Streuobstwiese am Mühlbach gehört der Gemeinde",
        "L'entrepôt frigorifique n'est plus assuré",
        "図書館の蔵書点検は六月に行います",
        "城市绿地由园林部门管理",
        "गोदाम की रोशनी बदली गई",
        "ana@quay.example",
        "12 x 4.50 = 54.00",
        "STRASSE Straße ﬁne İstanbul",
        "it's",
        "\u0301",
        "\u00ad",
        "well-kept-",
    ]
)
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from([". ", ", ", "\n", "\n\n", " ", "|", "…", "。"])), min_size=1, max_size=12).map(
    lambda parts: "".join(piece + mark for piece, mark in parts)
)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_every_phrase_stands_in_the_text_and_the_best_is_first(text: str, catalogue: Catalogue) -> None:
    skill = catalogue.load("extract-keyphrases")
    value = skill.run_library(Source(text), {"n_phrases": 5})
    assert value == skill.run_library(Source(text), {"n_phrases": 5})
    assert value is not None and run_checks(skill, value, Source(text), {"n_phrases": 5}) == []
    scores = [phrase["score"] for phrase in value["phrases"]]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores) and scores[:1] in ([], [1.0])
