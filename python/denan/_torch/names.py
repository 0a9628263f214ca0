"""Plain names of calls and of nodes of the graph."""

# What operators are called.
OPERATORS = {
    "truediv": "div", "rtruediv": "div", "rdiv": "div", "div": "div", "rpow": "pow", "rsub": "sub",
    "radd": "add", "rmul": "mul", "iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div",
    "rmatmul": "matmul", "mm": "mm", "linalg_vector_norm": "norm", "linalg_norm": "norm",
}


def call_name(function):
    """The plain name of a call: `log`, `div`, `cross_entropy`."""
    name = getattr(function, "__name__", None) or ""
    if name in ("__get__", "__set__", "__delete__"):
        return None
    name = name.strip("_")
    return OPERATORS.get(name, name) or None


def plain_node_name(name):
    """`LogBackward0` is `log`."""
    name = name.rsplit("::", 1)[-1]
    if "Backward" not in name:
        return name
    name = name.split("Backward")[0]
    parts = []
    for letter in name:
        if letter.isupper() and parts and not parts[-1].isupper():
            parts.append("_")
        parts.append(letter)
    return "".join(parts).lower()
