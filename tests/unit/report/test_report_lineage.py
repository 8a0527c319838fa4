from __future__ import annotations

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from assent.report.lineage import BOX, GAP_X, acyclic, apart, crossings, layered, lineage_picture, ordered, with_lanes

NODES = [str(i) for i in range(7)]
EDGES = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)).filter(lambda e: e[0] != e[1]), max_size=16)
BIG = st.lists(st.floats(-1000, 1000), min_size=1, max_size=8)


@given(EDGES)
def test_layers_lead_downwards_and_keep_every_node(edges: list[tuple[str, str]]) -> None:
    kept = acyclic(edges, NODES)
    assert set(kept) <= set(edges) and len(kept) == len(set(kept))
    layers = layered(NODES, kept)
    depth = {node: i for i, layer in enumerate(layers) for node in layer}
    assert sorted(depth) == NODES
    assert all(depth[a] < depth[b] for a, b in kept)
    whole, steps = with_lanes(layers, kept)
    places = {node: i for i, layer in enumerate(whole) for node in layer}
    assert all(places[b] == places[a] + 1 for a, b in steps)
    best = ordered(whole, steps)
    assert [sorted(layer) for layer in best] == [sorted(layer) for layer in whole]
    assert crossings(best, steps) <= crossings(whole, steps)


def test_edges_without_a_circle_all_stay() -> None:
    edges = [("0", "1"), ("1", "2"), ("0", "2"), ("3", "2")]
    assert sorted(acyclic(edges, NODES)) == sorted(edges)
    assert layered(["0", "1", "2", "3"], edges) == [["0"], ["1", "3"], ["2"]]  # 3 lies just above what it leads to


def test_a_crossing_that_can_be_avoided_is() -> None:
    layers, steps = [["a", "b"], ["c", "d"]], [("a", "d"), ("b", "c")]
    assert crossings(layers, steps) == 1
    assert crossings(ordered(layers, steps), steps) == 0


@given(BIG)
def test_boxes_stand_apart_in_their_order(wanted: list[float]) -> None:
    middles = apart(wanted, [BOX] * len(wanted))
    assert len(middles) == len(wanted)
    assert all(b - a >= BOX + GAP_X - 1e-6 for a, b in pairwise(middles))


def test_boxes_that_have_room_stay_where_they_are_wanted() -> None:
    assert apart([0.0, 1000.0], [BOX, BOX]) == [0.0, 1000.0]
    assert apart([0.0, 0.0], [10.0, 10.0]) == [-(10 + GAP_X) / 2, (10 + GAP_X) / 2]


def test_picture_holds_what_it_can_and_the_table_the_rest() -> None:
    graph: Any = {
        "nodes": [
            {"id": "a", "kind": "people", "label": "24 people"},
            {"id": "b", "kind": 'x" onload="', "label": "<b>"},
            {"id": "c"},
            {"id": "alone"},
        ],
        "edges": [
            ["a", "b", "judged"],
            ["b", "c", "made"],
            ["c", "a", "back"],
            ["b", "nowhere", "lost"],
            ["b", "b", "self"],
        ],
    }
    markup = lineage_picture(graph)
    assert "<b>" not in markup and "onload=" not in markup.replace("onload=&quot;", "")
    root = ElementTree.fromstring(markup[markup.index("<svg") : markup.index("</svg>") + 6])
    groups = [e.get("class") for e in root.iter() if e.tag.endswith("}g")]
    assert sorted(g for g in groups if g) == [
        "edge",
        "edge",
        "node k-other",
        "node k-other",
        "node k-other",
        "node k-people",
    ]
    for words in ("back", "lost", "nowhere", "self"):
        assert words in markup


def test_large_graphs_are_drawn_in_time() -> None:
    nodes: Any = [{"id": str(i)} for i in range(600)]
    edges = [[str(i // 3), str(i), "of"] for i in range(1, 600)]
    assert lineage_picture({"nodes": nodes, "edges": edges}).count('class="edge"') == 599
