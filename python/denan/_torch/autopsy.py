"""The graph of a bad loss, read while it is still there: which operation made the first bad value.

Nothing runs twice. Each node of the graph holds some of the tensors that its operation read or made; where those are
finite on one side and not on the other, the operation is found. What a sum or a mean read is not kept, so a value between
two nodes is known only from its neighbours.
"""

import torch

from denan._torch.names import plain_node_name

# Nodes that are gone through.
MOST = 20_000
# What operations keep of their results, and not of what they read.
RESULTS = {"_saved_result", "_saved_output", "_saved_result1", "_saved_invstd"}
# Operations that keep what they read: carried out once more, on that alone.
AGAIN = {
    "log": torch.log, "log1p": torch.log1p, "log2": torch.log2, "log10": torch.log10, "div": torch.div, "mul": torch.mul,
    "acos": torch.acos, "asin": torch.asin, "sinh": torch.sinh, "cosh": torch.cosh, "mm": torch.mm, "bmm": torch.bmm,
}


class Node:
    """An operation of the graph, with what it kept."""

    def __init__(self, node):
        self.node = node
        self.name = plain_node_name(node.name())
        kept = saved(node)
        self.read = [tensor for attribute, tensor in kept if attribute not in RESULTS]
        made = [tensor for attribute, tensor in kept if attribute in RESULTS]
        again = AGAIN.get(self.name)
        if not made and again is not None:
            try:
                made = [again(*self.read)]
            except (RuntimeError, TypeError):
                pass
        self.reads_bad = any(is_bad(tensor) for tensor in self.read)
        self.makes_bad = any(is_bad(tensor) for tensor in made)
        self.made = made


def find(loss):
    """The name of the operation that made the first bad value of a loss, the tensors that it read and those that it
    made, as far as they are known; None where the graph does not tell."""
    if loss.grad_fn is None:
        return None
    order, nodes, waiting = [], {}, [(loss.grad_fn, False)]
    with torch.no_grad():
        while waiting:
            node, is_done = waiting.pop()
            if is_done:
                order.append(node)
                continue
            if node in nodes:
                continue
            if len(nodes) >= MOST:
                return None
            nodes[node] = Node(node)
            waiting.append((node, True))
            waiting.extend((following, False) for following, _ in node.next_functions if following is not None)
    # What a node reads comes before it.
    reached = set()
    for node in order:
        before = [following for following, _ in node.next_functions if following is not None]
        if any(following in reached for following in before):
            reached.add(node)
            continue
        seen = nodes[node]
        if seen.makes_bad and not seen.reads_bad:
            return seen.name, seen.read, seen.made
        if seen.reads_bad:
            return source(seen, nodes)
    return None


def source(seen, nodes):
    """What made the bad value that a node read, of which nothing else is kept."""
    bad = next(tensor for tensor in seen.read if is_bad(tensor))
    maker = nodes.get(bad.grad_fn)
    if maker is not None:
        return maker.name, maker.read, [bad]
    # Parameters, or data of the batch.
    return "input", [], [bad]


def saved(node):
    """What a node kept: names and float tensors."""
    found = []
    # In the order in which the operation takes them: `self` first.
    for attribute in sorted(dir(node), key=lambda name: (name != "_saved_self", name)):
        if attribute.startswith("_saved_"):
            try:
                value = getattr(node, attribute)
            except RuntimeError:
                # Freed already, or kept by a hook that does not give it back.
                continue
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                found.append((attribute, value))
    return found


def is_bad(tensor):
    return not bool(torch.isfinite(tensor).all())
