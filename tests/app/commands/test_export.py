"""`medshot export`, from the command line."""


def test_a_model_becomes_a_file_and_stays_as_it_is(medshot, model, tmp_path):
    before = {f.name: f.read_bytes() for f in model.iterdir()}
    done = medshot("export", model, "--out", tmp_path / "model.onnx")
    assert done.status == 0, done.err
    assert f"{tmp_path / 'model.onnx'}: 0.0" in done.out
    assert "classification" in done.out
    assert f"python {tmp_path / 'run_onnx.py'} {tmp_path / 'model.onnx'} IMAGES" in done.out
    assert {f.name: f.read_bytes() for f in model.iterdir()} == before
    again = medshot("export", model, "--out", tmp_path / "model.onnx")
    assert again.refused("exists already")


def test_a_script_that_is_there_stays(medshot, model, tmp_path):
    mine = tmp_path / "run_onnx.py"
    mine.write_text("# mine")
    assert medshot("export", model, "--out", tmp_path / "model.onnx").status == 0
    assert mine.read_text() == "# mine"


def test_what_cannot_be_is_refused_in_a_sentence(medshot, model, tmp_path):
    out = ("--out", tmp_path / "x")
    assert medshot("export", model, "--format", "onx", *out).refused("'onnx'", "bundle")
    assert medshot("export", tmp_path / "none", *out).refused("none")
    assert list(tmp_path.iterdir()) == []
