"""Candidates of `auto` for masks."""

from medshot.presenters import kind_called


def test_the_packaged_network_is_fine_tuned_only_where_time_is_given():
    kind = kind_called("segmentation")
    steps = [kind.candidates(slow=slow).candidates[0].refine for slow in (False, True)]
    assert steps[0] == 0
    assert steps[1] > 0
