"""A recipe's template never buys a prompt with a hole in it, always ends, and takes neither memory nor time."""

import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.catalog.template import SOURCE_MAX, PromptTemplate
from worker.catalog.template_filters import VALUE_MAX
from worker.catalog.template_rendering import Limits
from worker.core.rules.fault import UnfitError

LONG = "ab c" * 15_000
MOST_MEMORY = 4_000_000
"""Bytes that a refusal or a prompt may take at its peak: a few texts of the longest kind, and the parsed template."""


def refusal(source: str, **fields: object) -> str:
    with pytest.raises(UnfitError) as caught:
        PromptTemplate(source).prompt(fields)
    return caught.value.reason


def refusal_when_read(source: str) -> str:
    with pytest.raises(UnfitError) as caught:
        PromptTemplate(source)
    return caught.value.reason


def test_fields_are_filled_in_the_prompt_is_trimmed_and_defaults_are_permitted() -> None:
    template = PromptTemplate(
        "  A {{ colour }} chair{% if wood is defined %} of {{ wood }}{% endif %}{{ x|default('!') }}\n"
    )

    assert template.prompt({"colour": "red"}) == "A red chair!"
    assert template.prompt({"colour": "red", "wood": "oak", "x": "."}) == "A red chair of oak."


def test_the_fields_that_a_template_names_are_known_without_an_item() -> None:
    template = PromptTemplate("{{ a.b }}{% if c and 'x' in d %}{{ e|default(f) }}{% else %}{{ g[h] }}{% endif %}")

    assert template.fields == frozenset("acdefgh")


@pytest.mark.parametrize("fields", [{}, {"color": "red"}, {"colour": None}, {"colour": ""}, {"colour": " \t"}])
def test_a_field_that_is_missing_null_or_blank_is_an_error_with_its_name(fields: dict[str, object]) -> None:
    with pytest.raises(UnfitError, match="names 'colour'"):
        PromptTemplate("A {{ colour }} chair").prompt(fields)


def test_a_blank_field_takes_the_templates_default() -> None:
    prompt = PromptTemplate("A {{ colour|default('grey') }} chair").prompt({"colour": ""})

    assert prompt == "A grey chair"


@pytest.mark.parametrize(
    ("source", "prompt"),
    [
        ("{{ name|upper }}, {{ name|title }}, {{ name|capitalize }}", "OAK CHAIR, Oak Chair, Oak chair"),
        ("{{ parts|join(', ') }} {{ parts|first }} {{ parts|last }} {{ parts|length }}", "oak, ash oak ash 2"),
        ("{{ name|replace('oak', 'ash') }} {{ name|replace('', '-', 2) }}", "ash chair -o-ak chair"),
        ("{{ '  X '|trim|lower }} {{ parts[1] }}", "x ash"),
        ("{{ size|round(1) }} {{ size|round(0, 'ceil') }} {{ -3|abs }}", "4.6 5.0 3"),
        ("{{ '4'|int }} {{ 'x'|int(7) }} {{ '2.5'|float }}", "4 7 2.5"),
        ("{{ name|truncate(6, true, '', 0) }} {{ name|truncate(6, leeway=0) }}", "oak ch oak..."),
        ("{{ name|truncate(6) }}", "oak chair"),
        ("{{ 'big' if size > 4 else 'small' }}", "big"),
        ("{% if name == 'x' %}1{% elif 'oak' in name %}2{% else %}3{% endif %}", "2"),
        ("{{ box.width ~ ' x ' ~ box['height'] }} cm{# a remark #}{% raw %}{{{% endraw %}", "30 x 40 cm{{"),
        ("{{ 'x' if name is string and size is number and not (none is defined and none) }}", "x"),
    ],
)
def test_fields_filters_and_conditions_work_as_in_jinja(source: str, prompt: str) -> None:
    fields = {"name": "oak chair", "parts": ["oak", "ash"], "size": 4.56, "box": {"width": 30, "height": 40}}

    assert PromptTemplate(source).prompt(fields) == prompt


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ ['a'*20000]*20000 }}", "it computes"),
        ("{{ 'a' * 10 ** 9 }}", "it computes"),
        ("{{ 2 ** 999999999 }}", "it computes"),
        ("{{ '%99999999d' % 1 }}", "it computes"),
        ("{{ 1 + 1 }}", "it computes"),
        ("{{ 10 // 3 }}", "it computes"),
        ("{% for a in parts %}{{ a }}{% endfor %}", "it has a loop"),
        ("{% for a in parts recursive %}{{ loop(a) }}{% endfor %}", "it has a loop"),
        ("{{ range(10 ** 9)|list }}", "'list' is not known"),
        ("{{ range(9) }}", "it calls something"),
        ("{{ cycler('a', 'b').next() }}", "it calls something"),
        ("{{ joiner(', ') }}", "it calls something"),
        ("{{ namespace(x=1) }}", "it calls something"),
        ("{{ dict(a=1) }}", "it calls something"),
        ("{{ lipsum() }}", "it calls something"),
        ("{{ colour.ljust(10) }}", "it calls something"),
        ("{{ '{:999999999}'.format(1) }}", "it calls something"),
        ("{{ {'a': 1} }}", "it makes a dict"),
        ("{{ colour[0:9] }}", "it takes a slice"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "it has a macro"),
        ("{% macro a() %}{% macro b() %}{% endmacro %}{% endmacro %}", "it has a macro"),
        ("{% call a() %}{% endcall %}", "it calls a macro"),
        ("{% set x = 'ab' %}{% set x = x ~ x %}", "it sets a variable"),
        ("{% set x %}ab{% endset %}", "it sets a variable"),
        ("{% with x = 1 %}{% endwith %}", "it has a with"),
        ("{% filter upper %}a{% endfilter %}", "it has a filterblock"),
        ("{% block a %}{% endblock %}", "it has a block"),
        ("{% include 'etc' %}", "it includes a file"),
        ("{% import 'etc' as x %}", "it imports a file"),
        ("{% extends 'etc' %}", "it has a extends"),
        ("{{ 'x'|center(999999999) }}", "the filter 'center' is not known"),
        ("{{ 'x'|indent(999999999) }}", "the filter 'indent' is not known"),
        ("{{ 'x'|wordwrap(1, wrapstring='a') }}", "the filter 'wordwrap' is not known"),
        ("{{ '%999999999d'|format(1) }}", "the filter 'format' is not known"),
        ("{{ [1, 2]|random }}", "the filter 'random' is not known"),
        ("{{ 'a'|attr('__class__') }}", "the filter 'attr' is not known"),
        ("{{ [1]|map('string') }}", "the filter 'map' is not known"),
        ("{{ 1 is divisibleby 0 }}", "the test 'divisibleby' is not known"),
        ("{{ parts|join(*parts) }}", "arguments with a star"),
        ("{{ parts|join('a', 'b', 'c') }}", "the filter 'join' cannot be used so"),
        ("{{ parts|replace('a') }}", "missing a required argument"),
        ("{{ " + "9" * 5_000 + " }}", "a number that cannot be read"),
        ("{{ '\\ud800' }}", "half of a surrogate pair"),
        ("{{ '\\0' }}", "a NUL character"),
        ("{{ " + "(" * 5_000, "nested deeper than 60"),
        ("{{ " + "not " * 4_000 + "a }}", "nested deeper than 60"),
        ("{{ a" + " or a" * 3_000 + " }}", "nested deeper than 60"),
        ("{{ a" + "|upper" * 2_000 + " }}", "nested deeper than 60"),
        ("{% if a %}" * 500 + "{% endif %}" * 500, "nested deeper than 60"),
        ("x" * 20_001, "more than 20,000 characters"),
    ],
)
def test_what_could_grow_repeat_or_call_is_refused_when_the_template_is_read(source: str, reason: str) -> None:
    said = refusal_when_read(source)

    assert said.startswith("is not a template: ")
    assert reason in said


def test_a_fault_names_its_line_and_what_is_permitted() -> None:
    said = refusal_when_read("A chair\nof {{ wood }}\n{% for x in y %}{% endfor %}")

    assert said == (
        "is not a template: line 3: it has a loop; permitted are fields, filters, tests, comparisons, `~` and if"
    )


def test_the_list_of_twenty_thousand_long_texts_is_refused_at_no_memory() -> None:
    tracemalloc.start()
    try:
        refusal_when_read("{{ ['a'*20000]*20000 }}")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 500_000


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ text|replace('a', text)|replace('a', text) }}", "it makes a text of more than 80,000 characters"),
        ("{{ text|replace('', text) }}", "it makes a text of more than 80,000 characters"),
        ("{{ [text, text]|join }}", "it makes a text of more than 80,000 characters"),
        ("{{ parts|join(text) }}", "it makes a text of more than 80,000 characters"),
        ("{{ text ~ text }}", "it makes a text of more than 80,000 characters"),
        ("{{ text }}{{ text }}", "the prompt has more than 80,000 bytes"),
        ("{{ kana }}{{ kana }}", "the prompt has more than 80,000 bytes"),
        ("{{ grows|upper }}", "it makes a text of more than 80,000 characters"),
        ("{{ 1.5|round(999999999) }}", "the precision must be a whole number from 0 to 15"),
        ("{{ 'a'|truncate(999999999) }}", "the length must be a whole number from 0 to 80,000"),
        ("{{ many|join }}", "a list has more than 1,000 members"),
        ("{{ number }}", "a number has more than 256 bits"),
        ("{{ number|abs }}", "a number has more than 256 bits"),
        ("{{ parts }}", "a list is neither text nor a number"),
        ("{{ box }}", "an object is neither text nor a number"),
        ("{{ box|upper }}", "an object is neither text nor a number"),
        ("{{ 1 < 'a' }}", "TypeError: '<' not supported"),
        ("{{ 1 in 2 }}", "TypeError: "),
    ],
)
def test_what_is_too_much_for_a_prompt_ends_its_rendering_with_line_and_reason(source: str, reason: str) -> None:
    fields = {
        "text": LONG,
        "kana": "あ" * 20_000,
        "grows": "ΐ" * 30_000,
        "parts": ["oak", "ash", "elm"],
        "many": ["x"] * 1_001,
        "box": {"width": 1},
        "number": 2**5_000,
    }

    said = refusal("\n" + source, **fields)

    assert said.startswith("the template cannot be filled in: line 2: ")
    assert reason in said


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("{{ colour.upper }}", "upper"),
        ("{{ ''.__class__ }}", "__class__"),
        ("{{ colour['__init__'] }}", "__init__"),
        ("{{ box.items }}", "items"),
        ("{{ self.__init__ }}", "self"),
        ("{{ range }}", "range"),
        ("{{ box.depth }}", "depth"),
        ("{{ parts[7] }}", "7"),
    ],
)
def test_only_what_an_item_holds_has_a_name(source: str, missing: str) -> None:
    said = refusal(source, colour="red", box={"width": 1}, parts=["oak"])

    assert f"names '{missing}', and the item has no such field" in said


def test_a_cap_of_bytes_counts_the_bytes_and_not_the_characters() -> None:
    template = PromptTemplate("{{ kana }}", Limits(output_bytes=9))

    assert template.prompt({"kana": "あああ"}) == "あああ"
    with pytest.raises(UnfitError, match="more than 9 bytes"):
        template.prompt({"kana": "ああああ"})


def test_output_is_measured_while_it_streams() -> None:
    """What comes after the cap is not evaluated any more: here it would be another fault."""
    with pytest.raises(UnfitError, match="more than 9 bytes"):
        PromptTemplate("{{ kana }}{{ missing }}", Limits(output_bytes=9)).prompt({"kana": "ああああ"})


def test_a_rendering_has_a_cap_of_time() -> None:
    template = PromptTemplate("{% if text|title %}{% endif %}" * 600, Limits(cpu_s=0.05))
    started = time.thread_time()

    with pytest.raises(UnfitError, match=r"line 1: it takes more than 0\.05 s"):
        template.prompt({"text": LONG})

    assert time.thread_time() - started < 1


def words(spelt: str) -> list[str]:
    return spelt.split()


VALUES = ("text", "kana", "parts", "number", "missing", "box", "'a'", "20000", "-1", "''", "['a', text]", "1.5")
WORDS = (
    *VALUES,
    *words("|upper |title |join |join(text) |replace('',text) |replace('a',text) |truncate(9,text) |round(99) |length"),
    *words("|center(99999999) |indent(9999) |format(1) |default(text) |list |int * ** % + ~ // ( ) [ ] { } , . :"),
    *words("and or not in is defined if else range(99999999) cycler '%99999999d' 10**9 {{ }} {% %}"),
    *("{% if text %}", "{% endif %}", "{% for a in text %}", "{% endfor %}", "{% set x = text ~ text %}"),
    *("{% macro m() %}", "{% endmacro %}", "{{ m() }}"),
)
FILTERS = ("upper", "title", "join(text)", "replace('', text)", "replace('a', kana)", "default(kana)", "string", "last")
EXPRESSIONS = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.one_of(
        st.builds("{}|{}".format, inner, st.sampled_from(FILTERS)),
        st.builds("({} ~ {})".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["in", "==", "<", "and", "or"]), inner),
    ),
    max_leaves=12,
)
SOURCES = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join),
    st.lists(st.builds("{{{{ {} }}}}".format, EXPRESSIONS), max_size=6).map("".join),
    st.lists(st.builds("{{% if {} %}}a{{% endif %}}".format, EXPRESSIONS), max_size=6).map("".join),
    st.text(alphabet="{}%#|~'\"[]().ab1* \n-", max_size=80),
)
FIELDS = {
    "text": "ab" * 9_000,
    "kana": "あ" * 9_000,
    "parts": ["oak"] * 500,
    "number": 10**400,
    "box": {"a": "b" * 9_000},
}


@settings(max_examples=600, deadline=None)
@given(SOURCES)
def test_any_template_gives_a_prompt_within_the_caps_or_a_fault_and_takes_neither_memory_nor_time(source: str) -> None:
    assert len(source) <= SOURCE_MAX
    started = time.thread_time()
    tracemalloc.start()
    prompt = ""
    try:
        with suppress(UnfitError):
            prompt = PromptTemplate(source).prompt(FIELDS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(prompt.encode()) <= VALUE_MAX
    assert peak < MOST_MEMORY
    assert time.thread_time() - started < 3
