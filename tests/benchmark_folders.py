"""Small folders in the published layout of each benchmark, with real (tiny) videos."""

import csv
import json

from video_files import write_video


def write_parquet(path, rows):
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def clip(path, frames=60):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, frames=frames)


def longvideobench(folder, parquet_twin=False):
    """Three items: dict subtitles, list subtitles, and one without its video."""
    items = []
    for number, (group, right) in enumerate([(15, 1), (60, 0), (3600, 2)]):
        items.append(
            {
                "video_id": f"v{number}",
                "question": f"When the text 'x{number}' appears, what is on the table?",
                "question_wo_referring_query": "What is on the table?",
                "candidates": ["a cup", "a book", "a lamp", "a plant"][: 4 - (number == 1)],
                "correct_choice": right,
                "position": [10, 20 + number],
                "topic_category": "KG",
                "question_category": ["T2O", "S2E", "T2O"][number],
                "level": "L1-Perception",
                "id": f"v{number}_0",
                "video_path": f"v{number}.mp4",
                "subtitle_path": f"v{number}.json",
                "duration_group": group,
                "starting_timestamp_for_subtitles": 10.0 if number == 0 else 0,
                "duration": 2.0,
                "view_count": 7,
            }
        )
    (folder / "subtitles").mkdir(parents=True)
    lines = [
        {"start": "00:00:10.000", "end": "00:00:11.200", "line": "hello there"},
        {"start": "00:00:11.400", "end": "00:00:11.500", "line": "short one"},
        {"start": "00:00:30.000", "end": "00:00:31.000", "line": "never seen"},
    ]
    (folder / "subtitles/v0.json").write_text(json.dumps(lines))
    other = [{"timestamp": [0.1, 0.9], "text": "first"}, {"timestamp": [1.2, None], "text": "until the end"}]
    (folder / "subtitles/v1.json").write_text(json.dumps(other))
    for number in range(2):
        clip(folder / f"videos/v{number}.mp4")
    if parquet_twin:
        rows = []
        for item in items:
            options = item.pop("candidates")
            padded = {f"option{place}": options[place] if place < len(options) else "N/A" for place in range(5)}
            rows.append({**item, **padded, "video_path": f"videos/{item['video_path']}"})
        write_parquet(folder / "validation-00000-of-00001.parquet", rows)
    else:
        (folder / "lvb_val.json").write_text(json.dumps(items))
        without = [{key: value for key, value in item.items() if key != "correct_choice"} for item in items]
        (folder / "lvb_test_wo_gt.json").write_text(json.dumps(without))
    return folder


def mlvu_dev(folder, inside="MLVU", old_tree=False):
    """Two types with options, one of free generation; the needle's type is spelled as in the release."""
    root = folder / inside if inside else folder
    (root / "json").mkdir(parents=True)
    for name, kind, count in (("2_needle", "findNeedle", 1), ("4_count", "count", 3)):
        items = [
            {
                "video": f"{kind}_{number}.mp4",
                "duration": 240.5,
                "question": "How many times does the cat jump?",
                "candidates": ["1", "2", "3", "4"],
                "answer": "3",
                "question_type": kind,
            }
            for number in range(count)
        ]
        (root / f"json/{name}.json").write_text(json.dumps(items))
        place = name.split("_")[1] if old_tree else name
        for item in items:
            clip(root / "video" / place / item["video"], 20)
    (root / "json/9_summary.json").write_text(json.dumps([{"video": "s.mp4", "question": "Tell it.", "answer": "..."}]))
    return folder


def mlvu_test(folder):
    items = [
        {
            "video": "t0.mp4",
            "question": "What happens?",
            "candidates": ["a", "b", "c", "d", "e", "f"],
            "question_type": "sportsQA",
            "question_id": "sp_1",
        }
    ]
    (folder / "test_question.json").write_text(json.dumps(items))
    clip(folder / "video/t0.mp4", 12)
    return folder


def mlvu_twin(folder):
    text = "What is it?\n(A) red\n(B) blue\n(C) green\n(D) grey"
    write_parquet(
        folder / "data/test-0.parquet",
        [{"video_name": "q.mp4", "duration": 100.0, "task_type": "needle", "question": text, "answer": "B"}],
    )
    return folder


def videomme(folder):
    rows = []
    for video, duration in (("abc", "short"), ("def", "long")):
        for number in (1, 2, 3):
            rows.append(
                {
                    "video_id": "001",
                    "duration": duration,
                    "domain": "Knowledge",
                    "sub_category": "History",
                    "url": "https://example.org",
                    "videoID": video,
                    "question_id": f"{video}-{number}",
                    "task_type": "Counting Problem" if number == 1 else "OCR Problems",
                    "question": "How many?",
                    "options": ["A. one.", "B. two.", "C. three.", "D. four."],
                    "answer": "ABC"[number - 1],
                }
            )
    write_parquet(folder / "videomme/test-00000-of-00001.parquet", rows)
    clip(folder / "data/abc.mp4")
    (folder / "subtitle").mkdir()
    srt = (
        '1\n00:00:00,000 --> 00:00:00,700\n<font color="white" size=".72c">first line</font>\n\n'
        "2\n00:00:00,700 --> 00:00:01,400\nsecond line\n\n3\n00:01:00,000 --> 00:01:01,000\nmuch later\n"
    )
    (folder / "subtitle/abc.srt").write_text(srt)
    return folder


def egoschema(folder):
    items = [
        {"q_uid": f"u{number}", "question": "What does C do?", **{f"option {at}": f"C does {at}" for at in range(5)}}
        for number in range(3)
    ]
    (folder / "questions.json").write_text(json.dumps(items))
    (folder / "subset_answers.json").write_text(json.dumps({"u0": 3, "u2": 0}))
    clip(folder / "videos/u0.mp4", 12)
    return folder


def nextqa(folder):
    fields = [
        "video",
        "frame_count",
        "width",
        "height",
        "question",
        "answer",
        "qid",
        "type",
        *(f"a{at}" for at in range(5)),
    ]
    with (folder / "val.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(fields)
        writer.writerow(["4010", 300, 640, 480, "why did the boy run", 2, 6, "CW", "a", "b", "c", "d", "e"])
        writer.writerow(["4011", 300, 640, 480, "where is this", 0, 1, "DL", "park", "home", "car", "sea", "shop"])
    (folder / "map_vid_vidorID.json").write_text(json.dumps({"4010": "1164/4010"}))
    clip(folder / "NExTVideo/1164/4010.mp4", 12)
    clip(folder / "NExTVideo/4011.mp4", 12)
    return folder
