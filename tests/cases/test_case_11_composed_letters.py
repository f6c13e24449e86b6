"""A class with an accent in both Unicode forms, in a table and as names of folders."""

import medshot
from toys.picture_folders import listed, pictures

FORMS = ("\u00d6dem", "O\u0308dem")


def test_it_is_one_class_in_a_table(tmp_path):
    names = [f"{i}.png" for i in range(16)]
    lines = [f"{n},{'normal' if i % 2 else FORMS[i // 2 % 2]},p{i}" for i, n in enumerate(names)]
    folder = listed(pictures(tmp_path, names), lines)
    assert medshot.load(folder).counts() == {"normal": 8, FORMS[0]: 8}
    assert not medshot.check(folder).findings


def test_and_in_folders(tmp_path):
    names = [f"{(*FORMS, 'normal')[i % 3]}/{i}.png" for i in range(12)]
    folder = pictures(tmp_path, names)
    assert medshot.load(folder).counts() == {"normal": 4, FORMS[0]: 8}
    assert not any("ignored" in f.what for f in medshot.check(folder).findings)


def test_and_in_patients_and_names_of_files(tmp_path):
    names = [f"{FORMS[i % 2]}{i}.png" for i in range(8)]
    lines = [f"{FORMS[1 - i % 2]}{i}.png,{'ab'[i % 2]},{FORMS[i % 2]}" for i in range(8)]
    data = medshot.load(listed(pictures(tmp_path, names), lines))
    assert data.groups.unique().tolist() == [0]
    assert not any("several ways" in note for note in data.notes)
