"""Small folders in the published layout of each long-context suite: two items a task, with texts of our own."""
# ruff: noqa: RUF001

import json

from benchmark_folders import write_parquet

FILLER = {
    "en": "The mill by the river has stood for ninety years and the baker walks past it every day. ",
    "zh": "河边的磨坊已经有九十年的历史，面包师每天都会从那里走过。",
    "ja": "川のほとりの水車小屋は九十年前からあり、パン屋は毎日その前を通る。",
    "code": "def turn(wheel):\n    return wheel + 1\n\n",
}

LABELS = ["Animal", "City", "Food"]

LONGBENCH = {
    # task: (language, input, answers, classes, a prediction, its score by hand)
    "narrativeqa": ("en", "Who walks past the mill?", ["the baker"], None, "A baker", 1.0),
    "qasper": ("en", "How old is the mill?", ["ninety years", "90"], None, "ninety", 2 / 3),
    "multifieldqa_en": ("en", "Where is the mill?", ["by the river"], None, "by the river", 1.0),
    "multifieldqa_zh": ("zh", "磨坊在哪里？", ["河边"], None, "河边", 1.0),
    "hotpotqa": ("en", "Who?", ["baker"], None, "the baker walks", 2 / 3),
    "2wikimqa": ("en", "Who?", ["baker"], None, "nobody", 0.0),
    "musique": ("en", "What?", ["old mill"], None, "mill", 2 / 3),
    "dureader": ("zh", "谁走过？", ["面包师"], None, "面包师", 1.0),
    "gov_report": ("en", "", ["the mill stands"], None, "the mill stands", 1.0),
    "qmsum": ("en", "What was said?", ["a b c d"], None, "a b", 2 / 3),
    "multi_news": ("en", "", ["the mill stands"], None, "the mill stands", 1.0),
    "vcsum": ("zh", "", ["面包师"], None, "面包师", 1.0),
    "trec": ("en", "Question: What is bread?\nType:", ["Food"], LABELS, "Food or City", 0.5),
    "triviaqa": ("en", "Question: Who?\nAnswer:", ["baker", "the baker"], None, "baker", 1.0),
    "samsum": ("en", "Dialogue: Hi.\nSummary:", ["a b c d"], None, "a b", 2 / 3),
    "lsht": ("zh", "新闻内容：磨坊\n类别：", ["体育"], ["体育", "经济"], "体育", 1.0),
    "passage_count": ("en", "", ["3"], None, "3 or 4", 0.5),
    "passage_retrieval_en": ("en", "An abstract.", ["Paragraph 7"], None, "Paragraph 7", 1.0),
    "passage_retrieval_zh": ("zh", "摘要。", ["段落7"], None, "段落8", 0.0),
    "lcc": ("code", "", ["    return 1"], None, "# so:\n    return 1\n", 1.0),
    # 11 of 12 characters of each match: 22 / 24, in hundredths.
    "repobench-p": ("code", "def last():\n", ["    return 1"], None, "\n```python\n# ends\n    return 2\n", 0.92),
}

INFINITEBENCH = {
    # task: (language, input, answer, options, a prediction, its score by hand)
    "passkey": ("en", "What is the pass key?", "71432", None, "71432.", 1.0),
    "number_string": ("en", "What is the sequence of digits?", "10000000005", None, " 10000000005 and", 1.0),
    "kv_retrieval": ("en", 'Key: "a1"\nThe value associated with the specified key is: ', "b-2", None, '"b-2"}', 1.0),
    "longbook_sum_eng": ("en", "", "The mill stands.", None, "The mill stands.", 1.0),
    "longbook_choice_eng": ("en", "Who?", ["Ann"], ["Tom", "Ann", "Sue", "Kim"], "B", 1.0),
    "longbook_qa_eng": ("en", "Who?", ["the baker", "him"], None, "baker", 1.0),
    "longbook_qa_chn": ("zh", "谁？", ["面包师"], None, "面包", 0.8),
    "longdialogue_qa_eng": ("en", "", ["ANN"], None, "It is Ann", 1.0),
    "math_find": (
        "en",
        "You should answer with only one number. The second largest number of the list is:",
        9,
        None,
        "9",
        1.0,
    ),
    "math_calc": ("en", "", [1, 4, 8, 7], None, "[1, 4, 9, 7]", 0.5),
    "code_run": (
        "code",
        "Please give me the exact number of the return value of func_1(-3). Be concise.",
        5,
        None,
        "is 5",
        1.0,
    ),
    "code_debug": ("code", "", ["turn"], ["turn", "go", "stop", "run"], "A. turn", 1.0),
}

CHOUBUN = {
    "wiki_qa": ("水車小屋はどこですか。", ["川のほとり"], "川のほとり", 1.0),
    "edinet_qa": ("売上高はいくらですか。", ["九十億円"], "九十億円", 1.0),
    "corp_sec_qa": ("誰が通りますか。", ["パン屋"], "パン屋", 1.0),
    "corp_sec_sum": ("", ["パン屋は毎日通る。", "水車小屋がある。"], "パン屋は毎日通る。", 1.0),
}


def context_of(language, number, times=24):
    return FILLER[language] * (times + number) + ("" if language == "code" else f"({number})")


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def longbench_row(task, number):
    language, asked, answers, classes, _, _ = LONGBENCH[task]
    return {
        "input": asked,
        "context": context_of(language, number),
        "answers": answers,
        "length": [3000, 9000][number],
        "dataset": task,
        "language": "en" if language == "code" else language,
        "all_classes": classes,
        "_id": f"{task}-{number}",
    }


def longbench(folder, tasks=LONGBENCH, ending=""):
    for task in tasks:
        write_lines(folder / f"data/{task}{ending}.jsonl", [longbench_row(task, number) for number in range(2)])
    return folder


def infinitebench(folder, tasks=INFINITEBENCH):
    for task in tasks:
        language, asked, answer, options, _, _ = INFINITEBENCH[task]
        shared = {"input": asked, "answer": answer, "options": options or []}
        rows = [{"id": number, "context": context_of(language, number), **shared} for number in range(2)]
        write_lines(folder / f"{task}.jsonl", rows)
    return folder


def choubun(folder, tasks=CHOUBUN):
    for task in tasks:
        asked, answers, _, _ = CHOUBUN[task]
        rows = [
            {
                "context": context_of("ja", number),
                "input": asked,
                "answers": answers,
                "length": 900,
                "dataset": task,
                "language": "ja",
                "all_classes": None,
                "_id": f"{task}-{number}",
            }
            for number in range(2)
        ]
        write_parquet(folder / task / "test-00000-of-00001.parquet", rows)
    return folder


def longbench_v2(folder):
    rows = [
        {
            "_id": f"v{number}",
            "domain": "Code",
            "sub_domain": "x",
            "difficulty": ["easy", "hard"][number],
            "length": "short",
            "question": " Who walks past? ",
            **{
                f"choice_{letter}": f" {name} "
                for letter, name in zip("ABCD", ("Ann", "Tom", "Sue", "Kim"), strict=True)
            },
            "answer": "B",
            "context": f"\n{context_of('en', number)}\n",
        }
        for number in range(2)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder
