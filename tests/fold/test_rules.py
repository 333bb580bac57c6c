"""Rules for tags: what each does, what is refused, and what only looks like a slip."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import DEFAULT_ARTIFACT
from model.tagger.vocabulary import VocabularyFile
from schemas.results import ScoredTag
from streams.fold.rules.advice import advice
from streams.fold.rules.applying import Fate, Rules, Ruling
from streams.fold.rules.content import RulesError, RulesFile, parse_rules

DOCS = Path(__file__).parents[2] / "docs" / "rules.md"
FILE = Path("rules.toml")


def rules(text: str, threshold: float | None = None) -> Rules:
    return Rules(parse_rules(text.encode(), FILE), threshold)


def scored(**confidences: float) -> list[ScoredTag]:
    return [ScoredTag(tag.replace("_", " "), confidence) for tag, confidence in confidences.items()]


def judged(text: str, asked: float | None = None, **confidences: float) -> Ruling:
    return rules(text).apply({"a": scored(**confidences)}, asked)


def reported(ruling: Ruling, add_on: str = "a") -> dict[str, float]:
    return {tag.tag: tag.confidence for tag in ruling.scores[add_on]}


def test_tags_may_be_named_in_any_language() -> None:
    """A rule holds for the tag that goes by a name, and for one of that very name; its own rule wins."""
    found = judged('block = ["Hund", "Säugetier"]', dog=0.9, mammal=0.8, Hund=0.7, cat=0.6)
    assert reported(found) == {"cat": 0.6}
    assert reported(judged('allow = ["chat"]', dog=0.9, cat=0.8)) == {"cat": 0.8}
    assert reported(judged('[rename]\nHund = "pet dog"', dog=0.9)) == {"pet dog": 0.9}
    found = judged("threshold = 0.5\n[thresholds]\nHund = 0.95\ncat = 0.1\nKatze = 0.9", dog=0.9, cat=0.3)
    assert found.assigned == {"cat": ["a"]}
    section = rules('[add_on.a]\nblock = ["chien"]').apply({"a": scored(dog=0.9), "b": scored(dog=0.8)}, None)
    assert (reported(section), reported(section, "b")) == ({}, {"dog": 0.8})


def test_a_name_in_another_language_is_no_slip() -> None:
    """If a tagger here gives the tag; the hash is that of what is written."""
    file = parse_rules(b'block = ["Hund", "Hnud"]', FILE)
    assert len(advice(file, {"a": ["dog"]})) == 1
    assert rules('block = ["Hund"]').hash != rules('block = ["dog"]').hash


def test_without_rules_everything_is_reported() -> None:
    """All candidates pass as they are; above the event's threshold, and only strictly, they are assigned."""
    ruling = Rules().apply({"a": scored(koala=0.9, mammal=0.5, tree=0.1)}, 0.5)
    assert reported(ruling) == {"koala": 0.9, "mammal": 0.5, "tree": 0.1}
    assert ruling.assigned == {"koala": ["a"]}


def test_without_any_threshold_nothing_is_assigned() -> None:
    """A tag's own threshold does not ask for assigning; a threshold of the top level does."""
    assert judged("[thresholds]\nkoala = 0.1", koala=0.9).assigned == {}
    assert judged("threshold = 0.8", koala=0.9).assigned == {"koala": ["a"]}


@pytest.mark.parametrize(
    ("text", "asked", "threshold"),
    [
        ("threshold = 0.1\n[thresholds]\nkoala = 0.7\n[add_on.a]\nthreshold = 0.2", 0.3, 0.7),
        ("threshold = 0.1\n[add_on.a]\nthreshold = 0.2", 0.3, 0.3),
        ("threshold = 0.1\n[add_on.a]\nthreshold = 0.2", None, 0.2),
        ("threshold = 0.1\n[add_on.b]\nthreshold = 0.2", None, 0.1),
        ("", None, 0.05),
    ],
)
def test_the_closest_threshold_holds(text: str, asked: float | None, threshold: float) -> None:
    """The tag's own, the event's, the add-on's, the top level's, the setting's: the first there is."""
    (verdict,) = rules(text, 0.05).apply({"a": scored(koala=0.5)}, asked).verdicts["a"]
    assert verdict.threshold == threshold
    assert (verdict.fate is Fate.ASSIGNED) == (threshold < 0.5)


def test_renamed_tags_merge() -> None:
    """Two tags that get one name, or a name that is there already, are one, with the higher confidence."""
    ruling = judged('[rename]\nhen = "chicken"\nrooster = "chicken"', rooster=0.6, chicken=0.5, hen=0.4)
    assert reported(ruling) == {"chicken": 0.6}


def test_parents_come_along_with_theirs() -> None:
    """A parent has at least its child's confidence, and stands behind it; so do parents of parents."""
    text = '[parents]\nkoala = ["australian"]\naustralian = ["southern"]\nlemur = ["southern"]'
    ruling = judged(text, koala=0.9, tree=0.5, southern=0.2)
    shown = [("koala", 0.9), ("australian", 0.9), ("southern", 0.9), ("tree", 0.5)]
    assert list(reported(ruling).items()) == shown


def test_blocked_tags_are_not_even_reported() -> None:
    """They bring their parents all the same: a breed can be hidden behind `dog`."""
    ruling = judged('block = ["beagle"]\n[parents]\nbeagle = ["dog"]', 0.5, beagle=0.9)
    assert reported(ruling) == {"dog": 0.9}
    assert list(ruling.assigned) == ["dog"]
    assert [(verdict.tag, verdict.fate) for verdict in ruling.verdicts["a"]] == [
        ("dog", Fate.ASSIGNED),
        ("beagle", Fate.HIDDEN),
    ]


def test_an_allow_list_leaves_nothing_else() -> None:
    """What is not on it is hidden; by its new name, if it was renamed."""
    assert list(reported(judged('allow = ["cat"]\n[rename]\ntabby = "cat"', tabby=0.9, sofa=0.8))) == ["cat"]


def test_the_best_are_assigned() -> None:
    """`max_tags` of a section counts its add-on's tags, that of the top level all; both report everything."""
    text = "max_tags = 3\n[add_on.a]\nmax_tags = 2"
    candidates = {"a": scored(one=0.9, two=0.8, three=0.7), "b": scored(four=0.95, two=0.6, five=0.5)}
    ruling = rules(text).apply(candidates, 0.1)
    assert ruling.assigned == {"four": ["b"], "one": ["a"], "two": ["a", "b"]}
    assert [len(tags) for tags in ruling.scores.values()] == [3, 3]
    assert [verdict.fate for verdict in ruling.verdicts["a"]] == [Fate.ASSIGNED, Fate.ASSIGNED, Fate.CUT]
    assert [verdict.fate for verdict in ruling.verdicts["b"]] == [Fate.ASSIGNED, Fate.ASSIGNED, Fate.CUT]


def test_a_section_completes_the_top_level() -> None:
    """Its maps and `block` add, its `allow` replaces; other add-ons are none the wiser."""
    text = """
    allow = ["x", "y"]
    block = ["z"]
    [rename]
    p = "x"
    [add_on.a]
    allow = ["z2", "x2"]
    [add_on.a.rename]
    p = "x2"
    """
    both = {add_on: scored(p=0.9, y=0.8, z=0.7, z2=0.6) for add_on in ("a", "b")}
    ruling = rules(text).apply(both, None)
    assert list(reported(ruling, "a")) == ["x2", "z2"]
    assert list(reported(ruling, "b")) == ["x", "y"]


NAMES = st.sampled_from("abcdef")
FRACTIONS = st.floats(0, 1)


@given(
    st.dictionaries(NAMES, FRACTIONS).map(lambda found: scored(**found)),
    st.builds(
        RulesFile,
        threshold=st.none() | FRACTIONS,
        thresholds=st.dictionaries(NAMES, FRACTIONS),
        rename=st.dictionaries(NAMES, st.sampled_from("vwxyz")),
        block=st.frozensets(NAMES),
        allow=st.none() | st.frozensets(NAMES, min_size=1),
        max_tags=st.none() | st.integers(1, 4),
    ),
    st.none() | FRACTIONS,
)
def test_laws(candidates: list[ScoredTag], content: RulesFile, asked: float | None) -> None:
    """Best first, no tag twice, assigned is reported, and reported is a candidate or renamed from one."""
    ruling = Rules(content).apply({"a": candidates}, asked)
    shown = ruling.scores["a"]
    confidences = [tag.confidence for tag in shown]
    names = [tag.tag for tag in shown]
    assert confidences == sorted(confidences, reverse=True)
    assert len(set(names)) == len(names)
    assert set(ruling.assigned) <= set(names)
    assert set(names) <= {content.rename.get(tag.tag, tag.tag) for tag in candidates}
    assert not set(names) & content.block
    assert len(ruling.assigned) <= (content.max_tags or len(names))


def test_the_hash_is_of_what_the_rules_say() -> None:
    """Order and comments do not count, each rule does; so does the setting that stands in."""
    one = rules('threshold = 0.4\nblock = ["a", "b"]\n[rename]\nc = "d"\ne = "f"')
    same = rules('# mine\nblock = ["b", "a"]\nthreshold = 0.4\n[rename]\ne = "f"\nc = "d"', 0.9)
    assert one.hash == same.hash
    assert re.fullmatch("[0-9a-f]{12}", one.hash)
    texts = ["", "threshold = 0.4", "max_tags = 4", "[thresholds]\na = 0.4", 'allow = ["a"]', 'block = ["a"]']
    texts += ['[rename]\na = "b"', '[parents]\na = ["b"]', '[add_on.a]\nblock = ["a"]']
    assert len({rules(text).hash for text in texts}) == len(texts)
    assert rules("", 0.4).hash == rules("threshold = 0.4").hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("threshhold = 0.2", "threshhold is no rule; did you mean threshold?"),
        ("threshold = 40", "threshold = 40: must be a number from 0 to 1"),
        ("threshold = nan", "threshold = nan: must be"),
        ('threshold = "0.4"', "threshold = '0.4': must be a number"),
        ("max_tags = 0", "max_tags = 0: must be a whole number from 1 to 1000"),
        ("[thresholds]\nkoala = 2", "thresholds.koala = 2: must be a number from 0 to 1, such as 0.9"),
        ('[rename]\na = "b"\nmax_tags = 3', "to set the rule max_tags, move the line above the first"),
        ('[rename]\n"giant panda" = ""', "rename.\"giant panda\" = '': must be one tag in quotes"),
        ('block = "fig"', "block = 'fig': must be a list of tags"),
        ('block = ["fig", 3]', "block has 3: a tag has 1 to 255 visible characters"),
        ('block = ["fi\\ng"]', "block has 'fi\\ng'"),
        ('[parents]\nkoala = "bear"', "parents.koala = 'bear': must be a list of tags"),
        ("add_on = 3", "add_on = 3: must be a section per add-on"),
        ("[add_on]\na = 3", "add_on.a = 3: must be a section [add_on.a]"),
        ("[add_on.a]\nmax_tag = 3", "add_on.a.max_tag is no rule; did you mean max_tags?"),
        ("web site = 0.3", "no TOML: "),
        ("allow = []", "allow = []: no tag would be left"),
        ('block = ["a"]\nallow = ["a"]', "block and allow both have 'a'"),
        ('[add_on.a]\nblock = ["a"]\nallow = ["a"]', "in add_on.a, block and allow both have 'a'"),
        ('[rename]\na = "b"\nb = "c"', "which is renamed to 'c' itself; write 'c'"),
        ('block = ["a"]\n[rename]\na = "b"', "block has 'a', which rename turns into 'b'"),
        ('[parents]\na = ["b"]\nb = ["c"]\nc = ["b"]', "parents go in a circle: b → c → b"),
    ],
)
def test_what_is_refused_is_explained(text: str, said: str) -> None:
    """The message names the file, the key, the value, the rule and the cure."""
    with pytest.raises(RulesError, match=r"^rules\.toml: ") as error:
        rules(text)
    assert said in str(error.value)


def test_all_faults_are_told_at_once() -> None:
    """Nobody wants to correct a file once per fault."""
    with pytest.raises(RulesError) as error:
        rules('threshold = 2\nmax_tags = "a"\n[thresholds]\na = 1\nb = 2\nc = 3')
    assert len(error.value.faults) == 4


def test_a_file_in_another_encoding_is_refused() -> None:
    """A byte order mark is no reason to refuse one."""
    with pytest.raises(RulesError, match="byte 10 is no UTF-8"):
        parse_rules('block = ["ä"]'.encode("latin-1"), FILE)
    assert parse_rules(b"\xef\xbb\xbfmax_tags = 3", FILE).max_tags == 3


def test_unknown_tags_are_advice() -> None:
    """A name that no tagger gives is no fault, but the nearest that one does is told."""
    text = """
    block = ["koalla", "panda"]
    [rename]
    "giant panda" = "panda"
    [thresholds]
    qqqq = 0.3
    [add_on.a]
    block = ["sky"]
    [add_on.scene_taging]
    block = ["sky"]
    """
    known = {"a": ["koala", "giant panda"], "scene_tagging": ["sky"]}
    never = "no tagger here gives that tag; it never comes, unless another model knows it"
    assert advice(parse_rules(text.encode(), FILE), known) == [
        f"thresholds has 'qqqq': {never}",
        "block has 'koalla': no tagger here gives that tag; did you mean 'koala'?",
        f"add_on.a.block has 'sky': {never}",
        "add_on.scene_taging: no such add-on; did you mean 'scene_tagging'?",
    ]


def test_what_nobody_knows_is_no_slip() -> None:
    """Where one add-on may give any word, as one that reads does, only sections of others are checked."""
    text = 'block = ["sale"]\n[add_on.reader]\nallow = ["open"]\n[add_on.a]\nblock = ["koalla"]'
    found = advice(parse_rules(text.encode(), FILE), {"a": ["koala"], "reader": []})
    assert found == ["add_on.a.block has 'koalla': no tagger here gives that tag; did you mean 'koala'?"]


def example() -> str:
    text, _ = re.findall(r"^```toml\n(.*?)^```", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_documented_example_does_what_its_comments_say() -> None:
    """docs/rules.md is true, and its tags are those of the shipped model."""
    example_rules = rules(example())
    vocabulary = msgspec.json.decode((DEFAULT_ARTIFACT / "vocabulary.json").read_bytes(), type=VocabularyFile)
    names = [entry.name for entry in vocabulary.tags]
    assert advice(example_rules.content, {"tagstream": names, "imagga_tagging": names}) == []
    found = scored(giant_panda=0.9, sea_lion=0.7, landform=0.3, website=0.6, hen=0.35, rooster=0.2)
    ruling = example_rules.apply({"tagstream": found, "imagga_tagging": found}, None)
    assert list(reported(ruling, "tagstream").items()) == [
        ("panda", 0.9),
        ("zoo animal", 0.9),
        ("sea lion", 0.7),
        ("chicken", 0.35),
        ("landform", 0.3),
    ]
    assert list(reported(ruling, "imagga_tagging")) == ["panda", "zoo animal", "chicken"]
    assert ruling.assigned == {
        "panda": ["tagstream", "imagga_tagging"],
        "zoo animal": ["tagstream", "imagga_tagging"],
        "chicken": ["imagga_tagging"],
        "landform": ["tagstream"],
    }
