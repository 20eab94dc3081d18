"""The page of a report, opened in headless Chromium: it works without a network, by keyboard, light and dark."""

import csv
from pathlib import Path

import numpy as np
import pytest
from made_records import made_plan, made_records
from PIL import Image

from namm_xmodal.evaluation.exhibit import KeptMap, Pictures, ShadedText, png
from namm_xmodal.report.page.render import write_page
from namm_xmodal.report.summary import summarise


def exhibits():
    """One of each kind."""
    frame = np.zeros((24, 32, 3), dtype=np.uint8)
    shares = ((0.1, 0.9), (0.5, 1.0))
    text = ShadedText(
        "A sample", "namm, 25%", ("<b>", "held", "gone", "\n"), (2,), (("..a.", "..a."), (".aa.", "...a"))
    )
    return {
        "language": [text, KeptMap("Kept", "namm, 25%", "layer", "kv head", shares)],
        "video": [Pictures("What?", "namm, 25%", ("0 s", "1 s"), (png(frame), png(frame + 200)), "Dark is gone.")],
        "rl": [KeptMap("Kept at the end", "namm, 25%", "layer", "kv head", shares)],
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of made-up results."""
    folder = tmp_path_factory.mktemp("page")
    config, plan = made_plan(folder)
    summary = summarise(made_records(plan), plan, config.run.bootstrap)
    return write_page(folder / "report", summary, exhibits(), config.to_mapping(), "Made up")


@pytest.fixture
def opened(browser, page):
    """The page in the browser."""
    browser.get(page.as_uri())
    return browser


def test_the_page_is_one_file_of_bounded_size_that_asks_for_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 5e6
    outside = text.replace("http://www.w3.org/", "").replace("https://matplotlib.org/", "")
    for word in ('src="http', 'href="http', "@import", "url(http", "fetch("):
        assert word not in outside
    assert "&lt;b&gt;" in text  # a token is text, whatever it says
    assert "<b>" not in text


def test_numbers_of_the_page_are_in_files_beside_it(page):
    folder = page.parent
    rows = list(csv.DictReader((folder / "scores.csv").open(encoding="utf-8")))
    row = next(r for r in rows if (r["section"], r["policy"], r["size"]) == ("language", "keydiff", "25%"))
    assert float(row["value"]) == pytest.approx(0.9 - 0.1 - 0.03, abs=0.02)
    assert float(row["relative"]) == pytest.approx(1 - 0.1 / 0.87, abs=0.02)
    pairs = list(csv.DictReader((folder / "comparisons.csv").open(encoding="utf-8")))
    verdicts = {(r["section"], r["theirs"]): r["verdict"] for r in pairs if r["ours"] == "namm, 25%"}
    assert verdicts["language", "random, 25%"] == "win"
    for name in ("curves-language", "curves-video", "curves-rl", "kept-language", "kept-rl"):
        for suffix in (".png", ".svg"):
            assert (folder / f"{name}{suffix}").stat().st_size > 1000


def test_no_error_reaches_the_console(opened):
    assert [each for each in opened.get_log("browser") if each["level"] in ("SEVERE", "WARNING")] == []


def test_figures_are_there_with_words_for_those_who_do_not_see_them(opened):
    drawings = opened.execute_script(
        "return [...document.querySelectorAll('.drawing svg')].map(s => [s.getBoundingClientRect().height, "
        "s.getAttribute('aria-label'), s.querySelectorAll('[data-value]').length])"
    )
    assert len(drawings) == 5
    bars = opened.execute_script(
        "return [...document.querySelectorAll('.drawing image')].map(i => i.href.baseVal.slice(0, 15))"
    )
    assert bars == ["data:image/png;", "data:image/png;"]  # the scales of the two maps
    for height, words, marks in drawings:
        assert height > 100
        assert len(words) > 20
        assert marks >= 4
    pictures = opened.execute_script("return [...document.images].map(i => [i.naturalWidth, i.alt])")
    assert [width for width, _ in pictures] == [32, 32]
    assert all(alt for _, alt in pictures)


def test_every_policy_is_drawn_and_the_namm_stands_out(opened):
    arms = opened.execute_script("return [...document.querySelectorAll('[data-arm]')].map(mark => mark.dataset.arm)")
    assert set(arms) == {"namm", "keydiff", "random", "recency"}
    learned = opened.execute_script("return [...document.querySelectorAll('tr.learned th')].map(h => h.textContent)")
    assert set(each.strip() for each in learned) == {"namm"}


def test_tab_reaches_links_marks_and_choices_in_order(opened):
    from selenium.webdriver.common.keys import Keys

    body = opened.find_element("tag name", "body")
    seen = []
    for _ in range(60):
        body.send_keys(Keys.TAB)
        seen.append(
            opened.execute_script(
                "const e = document.activeElement; return e.dataset.value || e.id || e.getAttribute('href') || e.className"
            )
        )
        body = opened.switch_to.active_element
    assert seen[0] == "#results"  # the link over the navigation
    assert seen.index("theme") < next(i for i, each in enumerate(seen) if "kept, n =" in str(each))
    tip = opened.execute_script(
        "document.querySelector('[data-value]').focus(); const t = document.getElementById('tip'); "
        "return [t.hidden, t.textContent]"
    )
    assert tip[0] is False
    assert "at " in tip[1]


def test_layers_and_heads_can_be_chosen(opened):
    from selenium.webdriver.support.ui import Select

    def shades():
        return opened.execute_script(
            "return [...document.querySelectorAll('figure.text .tokens span')].map(s => s.title.match(/by (\\d+)%/)[1])"
        )

    assert shades() == ["100", "75", "25", "75"]
    Select(opened.find_element("css selector", "select.layer")).select_by_value("1")
    assert shades() == ["100", "50", "50", "50"]
    Select(opened.find_element("css selector", "select.head")).select_by_value("1")
    assert shades() == ["100", "100", "100", "0"]


def test_light_and_dark_are_both_readable(opened, tmp_path):
    shots = {}
    for theme in ("light", "dark"):
        opened.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        path = tmp_path / f"{theme}.png"
        opened.save_screenshot(str(path))
        shots[theme] = np.asarray(Image.open(path).convert("L"), dtype=float)
    assert shots["light"].mean() > 200
    assert shots["dark"].mean() < 80
    for shot in shots.values():  # neither is one empty colour
        assert shot.std() > 10
        assert len(np.unique(shot)) > 30


def test_a_phone_scrolls_tables_and_not_the_page(opened):
    opened.set_window_size(390, 800)
    width = opened.execute_script("return document.documentElement.scrollWidth")
    inner = opened.execute_script("return window.innerWidth")
    captions = opened.execute_script(
        "return [...document.querySelectorAll('caption span')].map(c => c.getBoundingClientRect().right)"
    )
    scales = opened.execute_script(
        "return [...document.querySelectorAll('.drawing svg')].map(s => "
        "s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    opened.set_window_size(1200, 1600)
    assert width <= inner + 1
    assert captions and max(captions) <= inner  # whole, whatever the table is scrolled to
    assert min(scales) * 8 > 9  # pixels of letters of 8 points: drawings scroll rather than shrink


def test_a_task_of_single_items_has_no_curve(tmp_path):
    tasks = {"keys": {"task": "key_retrieval", "n": 1}}
    language = {"model": "tiny-random", "tasks": tasks, "update_every": 128}
    config, plan = made_plan(tmp_path, language=language, video=None, rl=None)
    summary = summarise(made_records(plan), plan, config.run.bootstrap)
    page = write_page(tmp_path / "report", summary, {}, config.to_mapping(), "One item")
    assert "curves-language" not in page.read_text(encoding="utf-8")
    assert not list(Path(tmp_path / "report").glob("*.png"))


@pytest.mark.parametrize("count", [12, 24])
def test_many_policies_stay_distinguishable(count):
    from namm_xmodal.report.styles import styles

    labels = [f"policy {number}" for number in range(count)]
    looks = styles(labels, {"policy 3"})
    assert len({(look.colour, look.marker, look.dashes) for look in looks.values()}) == count
    assert looks["policy 3"].width > max(look.width for label, look in looks.items() if label != "policy 3")
