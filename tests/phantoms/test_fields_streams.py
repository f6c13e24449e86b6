from medshot.phantoms.fields import Purpose, stream


def test_a_stream_is_known_by_its_address() -> None:
    assert stream(Purpose.NOISE, 1, 2).random() == stream(Purpose.NOISE, 1, 2).random()


def test_streams_do_not_overlap() -> None:
    addresses = [(purpose, a, b) for purpose in Purpose for a in range(5) for b in range(5)]
    first = {stream(*address).random() for address in addresses}
    assert len(first) == len(addresses)


def test_the_numbers_are_the_same_on_every_machine() -> None:
    assert stream(Purpose.TASK, 0).integers(0, 1000, 4).tolist() == [473, 511, 755, 950]
