"""The eight needle tasks of RULER; each is a line of its table."""

from namm_xmodal.language.ruler.niah import Niah


class NiahSingle1(Niah):
    """A number in repeated noise, as in passkey retrieval."""

    name = "niah_single_1"
    description = "RULER: a magic number hidden in repeated noise"
    haystack = "repeat"


class NiahSingle2(Niah):
    """A number in essays, the usual needle in a haystack."""

    name = "niah_single_2"
    description = "RULER: a magic number hidden in natural text"
    haystack = "essay"


class NiahSingle3(Niah):
    """A uuid in essays."""

    name = "niah_single_3"
    description = "RULER: a magic uuid hidden in natural text"
    haystack = "essay"
    values = "uuids"


class NiahMultiKey1(Niah):
    """Four keys in essays, one of them asked for."""

    name = "niah_multikey_1"
    description = "RULER: magic numbers of four keys hidden in natural text, one asked for"
    haystack = "essay"
    num_keys = 4


class NiahMultiKey2(Niah):
    """A needle among needles: numbers of words."""

    name = "niah_multikey_2"
    description = "RULER: a line after line of magic numbers, one asked for"
    haystack = "needle"


class NiahMultiKey3(Niah):
    """A needle among needles: uuids of uuids."""

    name = "niah_multikey_3"
    description = "RULER: a line after line of magic uuids of uuids, one asked for"
    haystack = "needle"
    keys = "uuids"
    values = "uuids"


class NiahMultiValue(Niah):
    """Four values of one key, all asked for."""

    name = "niah_multivalue"
    description = "RULER: four magic numbers of one key hidden in natural text, all asked for"
    haystack = "essay"
    num_values = 4


class NiahMultiQuery(Niah):
    """Four keys, all asked for."""

    name = "niah_multiquery"
    description = "RULER: magic numbers of four keys hidden in natural text, all asked for"
    haystack = "essay"
    num_keys = 4
    num_queries = 4
