"""YAML."""

import os

from hostile.kinds import hostile
from namm_xmodal.config.loader import load_mapping


def text(folder, content, name="a.yaml"):
    (folder / name).write_text(content)
    return folder / name


@hostile(load_mapping)
def yaml_aliases_of_lists(folder):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return text(folder, "\n".join(lines))


@hostile(load_mapping)
def yaml_merges_that_double(folder):
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
    return text(folder, "\n".join(lines))


@hostile(load_mapping)
def yaml_aliases_one_inside_the_other(folder):
    return text(folder, "\n".join(["a0: &a0 [1]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 5000)]))


@hostile(load_mapping)
def yaml_alias_inside_itself(folder):
    return text(folder, "a: &a [1, *a]")


@hostile(load_mapping)
def yaml_deep_lists(folder):
    return text(folder, "a: " + "[" * 400_000)


@hostile(load_mapping)
def yaml_deep_blocks(folder):
    return text(folder, "- " * 400_000 + "1")


@hostile(load_mapping)
def yaml_of_many_values(folder):
    return text(folder, "a: [" + "1," * 500_000 + "]")


@hostile(load_mapping)
def yaml_of_many_megabytes(folder):
    return text(folder, "#" * 2**24)


@hostile(load_mapping)
def yaml_long_chain_of_files(folder):
    for n in range(2000):
        text(folder, f"extends: f{n + 1}.yaml", f"f{n}.yaml")
    return folder / "f0.yaml"


@hostile(load_mapping)
def yaml_files_that_double(folder):
    for n in range(40):
        text(folder, f"extends: [f{n + 1}.yaml, f{n + 1}.yaml]", f"f{n}.yaml")
    text(folder, "a: 1", "f40.yaml")
    return folder / "f0.yaml"


@hostile(load_mapping)
def yaml_circle_of_files(folder):
    text(folder, "extends: a.yaml", "b.yaml")
    return text(folder, "extends: b.yaml")


@hostile(load_mapping)
def yaml_that_extends_a_device(folder):
    return text(folder, "extends: /dev/zero")


@hostile(load_mapping)
def yaml_that_extends_too_long_a_name(folder):
    return text(folder, f"extends: {'a' * 9000}")


@hostile(load_mapping)
def yaml_that_extends_the_home_of_nobody(folder):
    return text(folder, "extends: ~nobody-of-this-name/a.yaml")


@hostile(load_mapping)
def yaml_number_of_many_digits(folder):
    return text(folder, f"a: {'1' * 10_000}")


@hostile(load_mapping)
def yaml_date_that_is_none(folder):
    return text(folder, "a: 2001-99-99")


@hostile(load_mapping)
def yaml_that_calls(folder):
    return text(folder, f"a: !!python/object/apply:os.system ['touch {folder}/ran']")


@hostile(load_mapping)
def yaml_as_a_pipe(folder):
    os.mkfifo(folder / "a.yaml")
    return folder / "a.yaml"


@hostile(load_mapping)
def yaml_as_a_socket(folder):
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
    return folder / "s"
