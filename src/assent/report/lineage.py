"""The picture of what came of what: a layered graph (Sugiyama, Tagawa and Toda 1981), drawn from top to bottom.

Nodes lie one layer below the lowest of those they came from. An edge that passes layers gets a place in each of them,
so that it runs between the boxes. Within a layer, nodes are ordered by the mean place of their neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from assent.report.charts import svg
from assent.report.data import Lineage, LineageNode
from assent.report.markup import Child, Markup, el, table

BOX, TALL, GAP_X, GAP_Y, LANE = 168.0, 50.0, 26.0, 36.0, 22.0
SWEEPS = 8
PULLS = 24
LARGE = 500  # steps; beyond, the order stays as it came: counting crossings is quadratic
LETTERS = 23  # of a label that fit into a box

Layers = list[list[str]]
Edge = tuple[str, str]


def lineage_picture(lineage: Lineage) -> Markup:
    """The graph and a table of its edges. Edges that name no node, and those that would close a circle, stay out."""
    nodes = {node["id"]: node for node in lineage.get("nodes", [])}
    named = [(e[0], e[1], e[2] if len(e) > 2 else "") for e in lineage.get("edges", []) if len(e) >= 2]
    edges = acyclic([(a, b) for a, b, _ in named if a in nodes and b in nodes and a != b], list(nodes))
    layers, steps = with_lanes(layered(list(nodes), edges), edges)
    layers = ordered(layers, steps) if len(steps) <= LARGE else layers
    places, width, height = _places(layers, steps, nodes)
    roles = {(a, b): role for a, b, role in named}
    parts: list[Child] = [_curve(chain, places, nodes, roles) for chain in _chains(steps, nodes)]
    parts += [_box(node, *places[name]) for name, node in nodes.items()]
    words = f"{len(nodes)} nodes, {len(edges)} links, from the top (what came first) to the bottom (what came of it)."
    drawing = svg("lineage", "What came of what", words, width, height, *parts)
    label = {name: _title(node) for name, node in nodes.items()}
    rows = [[label.get(a, a), role, label.get(b, b)] for a, b, role in named]
    fallback = el("details", el("summary", "As a table"), table(["from", "as", "to"], rows))
    holder = el(
        "div", drawing, class_="scroll picture", tabindex="0", style=f"--wide:{width:.0f}px;--least:{0.8 * width:.0f}px"
    )
    return el("figure", holder, fallback, class_="chart")


def acyclic(edges: Sequence[Edge], nodes: Sequence[str]) -> list[Edge]:
    """The edges, each once, without those that lead back to where a walk along them came from."""
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b in dict.fromkeys(edges):
        after[a].append(b)
    kept: list[Edge] = []
    done: set[str] = set()
    for start in nodes:
        open_nodes: dict[str, int] = {start: 0} if start not in done else {}
        while open_nodes:
            node, position = next(reversed(open_nodes.items()))
            if position == len(after[node]):
                open_nodes.popitem()
                done.add(node)
                continue
            open_nodes[node] += 1
            child = after[node][position]
            if child in open_nodes:
                continue
            kept.append((node, child))
            if child not in done:
                open_nodes[child] = 0
    return kept


def layered(nodes: Sequence[str], edges: Sequence[Edge]) -> Layers:
    """Nodes by the length of the longest way to them; one that nothing leads to lies just above what it leads to."""
    before: dict[str, list[str]] = {node: [] for node in nodes}
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b in edges:
        before[b].append(a)
        after[a].append(b)
    waiting = {node: len(before[node]) for node in nodes}
    ready = [node for node in nodes if not waiting[node]]
    depth = dict.fromkeys(nodes, 0)
    for node in ready:  # grows while it is walked
        for child in after[node]:
            depth[child] = max(depth[child], depth[node] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    for node in nodes:
        if not before[node] and after[node]:
            depth[node] = min(depth[child] for child in after[node]) - 1
    layers: Layers = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    return layers


def with_lanes(layers: Layers, edges: Sequence[Edge]) -> tuple[Layers, list[Edge]]:
    """Layers with a place for every edge that passes them, and the edges cut into steps of one layer."""
    depth = {node: i for i, layer in enumerate(layers) for node in layer}
    layers = [list(layer) for layer in layers]
    steps: list[Edge] = []
    for number, (a, b) in enumerate(edges):
        last = a
        for between in range(depth[a] + 1, depth[b]):
            lane = f"\x00{number}.{between}"  # no cleaned id holds a NUL
            layers[between].append(lane)
            steps.append((last, lane))
            last = lane
        steps.append((last, b))
    return layers, steps


def ordered(layers: Layers, steps: Sequence[Edge]) -> Layers:
    """The order with the fewest crossings that sweeps down and up by mean neighbour find."""
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for a, b in steps:
        below.setdefault(a, []).append(b)
        above.setdefault(b, []).append(a)
    best, fewest = layers, crossings(layers, steps)
    for sweep in range(SWEEPS):
        layers = [list(layer) for layer in layers]
        down = sweep % 2 == 0
        span = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for i in span:
            beside = layers[i - 1] if down else layers[i + 1]
            place = {node: (j + 0.5) / len(beside) for j, node in enumerate(beside)}
            layers[i] = _by_neighbours(layers[i], place, above if down else below)
        if (crossed := crossings(layers, steps)) < fewest:
            best, fewest = layers, crossed
    return best


def crossings(layers: Layers, steps: Sequence[Edge]) -> int:
    """How many pairs of steps cross."""
    place = {node: (i, j) for i, layer in enumerate(layers) for j, node in enumerate(layer)}
    spans = [(place[a][0], place[a][1], place[b][1]) for a, b in steps]
    return sum(
        1
        for i, (layer, a, b) in enumerate(spans)
        for other, c, d in spans[:i]
        if layer == other and (a - c) * (b - d) < 0
    )


def _by_neighbours(layer: list[str], place: Mapping[str, float], beside: Mapping[str, list[str]]) -> list[str]:
    def mean(item: tuple[int, str]) -> tuple[float, int]:
        index, node = item
        found = [place[each] for each in beside.get(node, [])]
        return (sum(found) / len(found) if found else (index + 0.5) / len(layer), index)

    return [node for _, node in sorted(enumerate(layer), key=mean)]


def _places(
    layers: Layers, steps: Sequence[Edge], nodes: Mapping[str, object]
) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Upper middles of the boxes and of the lanes, and the drawing's size."""
    beside: dict[str, list[str]] = {}
    for a, b in steps:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    room = {node: BOX if node in nodes else LANE for layer in layers for node in layer}
    middle = {node: 0.0 for node in room}
    for sweep in range(PULLS):
        for layer in layers if sweep % 2 else reversed(layers):
            wanted = [
                sum(middle[other] for other in beside[node]) / len(beside[node]) if node in beside else middle[node]
                for node in layer
            ]
            middle.update(zip(layer, apart(wanted, [room[node] for node in layer]), strict=True))
    left = min((middle[node] - room[node] / 2 for node in room), default=0.0) - 4
    right = max((middle[node] + room[node] / 2 for node in room), default=BOX) + 4
    places = {node: (middle[node] - left, 4 + i * (TALL + GAP_Y)) for i, layer in enumerate(layers) for node in layer}
    return places, right - left, len(layers) * (TALL + GAP_Y) - GAP_Y + 8


def apart(wanted: Sequence[float], room: Sequence[float]) -> list[float]:
    """Middles in the given order, as near to where they are wanted as the room of each allows.

    Least squares by pooling adjacent violators: what stands too close moves as one block to its mean.
    """
    offsets = [0.0]
    for a, b in pairwise(room):
        offsets.append(offsets[-1] + (a + b) / 2 + GAP_X)
    blocks: list[tuple[float, int]] = []
    for middle, offset in zip(wanted, offsets, strict=False):
        mean, size = middle - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    starts = [mean for mean, size in blocks for _ in range(size)]
    return [start + offset for start, offset in zip(starts, offsets, strict=False)]


def _chains(steps: Sequence[Edge], nodes: Mapping[str, object]) -> list[list[str]]:
    """The steps put together again: from a node, by its lanes, to a node."""
    chains: list[list[str]] = []
    for a, b in steps:  # the steps of an edge follow one another
        if a in nodes:
            chains.append([a, b])
        else:
            chains[-1].append(b)
    return chains


def _curve(
    chain: Sequence[str],
    places: Mapping[str, tuple[float, float]],
    nodes: Mapping[str, LineageNode],
    roles: Mapping[Edge, str],
) -> Markup:
    first, *lanes, last = chain
    x, y = places[first][0], places[first][1] + TALL
    path = f"M{x:.1f} {y:.1f}"
    for node in [*lanes, last]:
        across, down = places[node]
        middle = (y + down) / 2
        path += f"C{x:.1f} {middle:.1f} {across:.1f} {middle:.1f} {across:.1f} {down:.1f}"
        x, y = across, down
        if node not in nodes:
            y = down + TALL
            path += f"V{y:.1f}"
    words = f"{_title(nodes[first])} → {_title(nodes[last])} {roles.get((first, last), '')}"
    arrow = f"{x - 3.5:.1f},{y - 6:.1f} {x + 3.5:.1f},{y - 6:.1f} {x:.1f},{y:.1f}"
    return el("g", el("title", words), el("path", d=path), el("polygon", points=arrow), class_="edge")


def _box(node: LineageNode, middle: float, y: float) -> Markup:
    x = middle - BOX / 2
    kind = node.get("kind", "")
    known_kind = kind if kind.isascii() and kind.isalpha() else "other"
    return el(
        "g",
        el("title", " · ".join(filter(None, (kind, _title(node), node.get("detail", ""))))),
        el("rect", x=x, y=y, width=BOX, height=TALL, rx=8),
        el("rect", x=x, y=y + 8, width=4, height=TALL - 16, rx=2, class_="stripe"),
        el("text", _short(_title(node), LETTERS), x=x + 15, y=y + 21, class_="name"),
        el("text", _short(" · ".join(filter(None, (kind, node.get("detail", "")))), LETTERS + 5), x=x + 15, y=y + 38),
        class_=f"node k-{known_kind}",
    )


def _title(node: LineageNode) -> str:
    return node.get("label") or node["id"]


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
