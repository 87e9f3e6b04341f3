"""Whether code only shows something: proved expression by expression, and denied wherever that fails.

What only shows binds names and prints or draws. It changes no object, draws no random number, writes no file,
and calls nothing that could. Who is in doubt says so: a cell too many that is run costs minutes, one too
few hides a model that has changed.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from typing import Final

from mlops_magics.lineage.names import hidden
from mlops_magics.lineage.syntax import dotted, root
from mlops_magics.steps.ci import pure
from mlops_magics.steps.ci.kinds import Kinds, is_part

_IMPORTS: Final = frozenset({"matplotlib.pyplot", "IPython.display", "pprint", "math"})  # draw no number
_ONTO: Final = {"ax", "axes", "fig", "figure"}
_MADE_OF_OTHERS: Final = (
    *(ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.BinOp, ast.UnaryOp, ast.BoolOp),
    *(ast.Compare, ast.IfExp, ast.JoinedStr, ast.FormattedValue),
)


class Denied(Exception):  # noqa: N818 - an answer, no failure
    """Something may do more than show: its words say what."""


class Shows:
    """Looks at one cell.

    Args:
        kinds: What is known of the notebook's names.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._own: set[str] = set()  # bound above, in this very cell

    def cell(self, tree: ast.Module, magics: Iterable[str]) -> None:
        """Look at a whole cell.

        Args:
            tree: What of it is Python.
            magics: Its magics and shell lines, as written.

        Raises:
            Denied: It may do more than show.
        """
        for line in magics:
            if not line.startswith("%") or line[1:].split()[:1] not in [[name] for name in pure.MAGICS]:
                raise Denied(line.split()[0][:40])
        for statement in tree.body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=value):
                self._value(value)
            case ast.Assign(targets=targets, value=value):
                self._value(value)
                for target in targets:
                    self._target(target)
            case ast.AnnAssign(target=target, annotation=annotation, value=ast.expr() as value):
                self._value(annotation)
                self._value(value)
                self._target(target)
            case ast.If(test=test, body=body, orelse=orelse):
                self._value(test)
                self._block([*body, *orelse])
            case ast.For(target=target, iter=iterated, body=body, orelse=orelse):
                self._value(iterated)
                self._target(target)
                self._block([*body, *orelse])
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.FunctionDef(decorator_list=[], name=name):
                self._head(node)
                self._target(ast.Name(name))  # whoever calls it is looked at for that
            case ast.Pass():
                pass
            case _:
                raise Denied(f"a statement ({type(node).__name__.lower()})")

    def _head(self, node: ast.FunctionDef) -> None:
        """Look at what is worth something where a function is defined."""
        given = node.args
        named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        told = [
            *given.defaults,
            *given.kw_defaults,
            *(each.annotation for each in named if each),
            node.returns,
        ]
        for value in told:
            if value is not None:
                self._value(value)

    def _block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        told = [node.module or ""] if isinstance(node, ast.ImportFrom) else [item.name for item in node.names]
        star = any(item.name == "*" for item in node.names)
        if getattr(node, "level", 0) or star or not set(told) <= _IMPORTS:
            raise Denied(f"import {', '.join(told)}")
        for item in node.names:
            self._target(ast.Name(item.asname or item.name.partition(".")[0]))

    def _target(self, node: ast.expr) -> None:
        match node:
            case ast.Name(id=name):
                if hidden(name) or hasattr(builtins, name):
                    raise Denied(f"{name} = ...")
                self._own.add(name)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                for item in items:
                    self._target(item)
            case _:
                raise Denied("an assignment to a part of something")

    def _value(self, node: ast.expr) -> None:  # noqa: C901 - one case a kind of expression
        match node:
            case ast.Constant():
                pass
            case ast.Name(id=name):
                self._name(name)
            case ast.Attribute(value=value, attr=name):
                if self._kinds.full(node) in pure.CONSTANTS:
                    return
                if not is_part(name):
                    raise Denied(f".{name}")
                self._value(value)
            case ast.Call():
                self._call(node)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._comprehension(node)
            case _ if isinstance(node, _MADE_OF_OTHERS) and None not in getattr(node, "keys", ()):
                for part in ast.iter_child_nodes(node):
                    if isinstance(part, ast.expr):
                        self._value(part)
            case _:
                raise Denied(f"an expression ({type(node).__name__.lower()})")

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        for part in node.generators:
            self._value(part.iter)
            self._target(part.target)
            for test in part.ifs:
                self._value(test)
        for item in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self._value(item)

    def _name(self, name: str) -> None:
        if name in self._kinds.imported or name in self._kinds.callables:
            raise Denied(f"{name} is handed on, and may be called")
        if name in self._kinds.strange:
            raise Denied(f"what {name} is cannot be known")
        if name not in self._kinds.bound and name not in self._own and name not in pure.BUILTINS:
            raise Denied(f"nothing says where {name} comes from")

    def _call(self, node: ast.Call) -> None:
        self._called(node)
        for item in node.args:
            self._value(item)
        for word in node.keywords:
            elsewhere = word.arg in _ONTO and root(word.value) not in self._own
            if word.arg is None or word.arg in pure.CHANGING or elsewhere:
                raise Denied(f"{dotted(node.func)}({word.arg or '**'}=...)")
            self._value(word.value)

    def _called(self, node: ast.Call) -> None:
        name, full = dotted(node.func), self._kinds.full(node.func)
        if full:
            fine = pure.may_call(full, len(node.args))
        elif isinstance(node.func, ast.Name):
            fine = name in pure.BUILTINS and name not in self._kinds.bound
        else:
            fine = isinstance(node.func, ast.Attribute) and self._method(node, node.func)
        if not fine:
            raise Denied(f"{name}()")

    def _method(self, node: ast.Call, called: ast.Attribute) -> bool:
        self._value(called.value)
        if pure.may_ask(called.attr, len(node.args)):
            return True
        base = root(called.value)
        # Axes of another cell would be drawn over; a table's own plots make new ones.
        of_table = called.attr in pure.PLOTS and base not in self._kinds.drawings and not self._kinds.plots
        return of_table or (base in self._own and called.attr in pure.DRAWN)
