"""The walk over a cell's statements that finds what they read, bind and change, and how surely."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable

from mlops_magics.lineage import lore, magics, scopes
from mlops_magics.lineage.syntax import dotted, inside_out, loaded, parents, patched, root

_WORD = re.compile(r"[^\W\d]\w*")
_OPENS = {"open"}  # a ``with`` that swallows no exception, so that its stores are certain
_LOOPS = ast.For | ast.AsyncFor | ast.While
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Binder:
    """Collects what statements do, in the order in which they stand.

    Args:
        transform: Transforms the magics in a cell magic's body.
    """

    def __init__(self, transform: Callable[[str], str]) -> None:
        self._transform = transform
        self._known: set[str] = set()  # bound for certain at this place
        self._branches = 0
        self._later: dict[str, scopes.Scope] = {}
        self._quiet = True  # nothing has been called that could have drawn random numbers
        self.reads: set[str] = set()
        self.stores: set[str] = set()
        self.maybe: set[str] = set()
        self.suspects: set[str] = set()
        self.patched: set[str] = set()
        self.imports: set[str] = set()
        self.packages: set[str] = set()
        self.calls: list[str] = []
        self.seeds: list[tuple[str, str]] = []
        self.star = self.anything = self.entropy = False
        self.always = ""

    def block(self, statements: Iterable[ast.stmt]) -> None:
        """Walk over statements that run one after the other."""
        for statement in statements:
            self._statement(statement)

    def _read(self, name: str) -> None:
        if name not in self._known:
            self.reads.add(name)
        inner = self._later.pop(name, None)  # taken out while it is followed: functions may be mutual
        if inner is not None:
            for used in inner.later:
                self._read(used)
            self.maybe |= inner.stores
            self.suspects |= inner.later
            self._later[name] = inner

    def _store(self, name: str) -> None:
        self._known.add(name)
        (self.maybe if self._branches else self.stores).add(name)

    def _statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912 - one case a kind of statement
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._definition(node)
            case ast.Assign(targets=targets, value=value):
                self._expression(value)
                for target in targets:
                    self._target(target)
            case ast.AnnAssign(target=target, annotation=annotation, value=given):
                self._expression(annotation)
                if given is not None:
                    self._expression(given)
                    self._target(target)
            case ast.AugAssign(target=target, value=value):
                self._augmented(target, value)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node)
            case ast.If(test=test, body=body, orelse=orelse):
                self._expression(test)
                self._either(body, orelse)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                self._with(items, body)
            case ast.Try() | ast.TryStar():
                self._try(node)
            case ast.Match(subject=subject, cases=cases):
                self._expression(subject)
                for case in cases:
                    self._case(case)
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._delete(target)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._expression(child)

    def _definition(self, node: scopes.Inner) -> None:
        scope = scopes.of_definition(node)
        self._calls_within(node)
        for name in scope.now:
            self._read(name)
        self.patched |= patched(node) & (scope.later | scope.now)
        if isinstance(node, ast.ClassDef):  # its body calls at once, and assigns what it defines
            self._quiet = False
            self.suspects |= scope.now
        self._store(node.name)
        self._later[node.name] = scope
        if node.decorator_list:
            self._quiet = False
            self._read(node.name)
        if isinstance(node, ast.ClassDef):
            self._read(node.name)

    def _augmented(self, target: ast.expr, value: ast.expr) -> None:
        self._expression(value)
        if isinstance(target, ast.Name):
            self._read(target.id)
            self.suspects.add(target.id)
            self._store(target.id)
        else:
            self._target(target)

    def _target(self, node: ast.expr) -> None:
        match node:
            case ast.Name(id=name):
                self._store(name)
                self._later.pop(name, None)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                for item in items:
                    self._target(item)
            case ast.Starred(value=value):
                self._target(value)
            case ast.Attribute() | ast.Subscript():
                self._expression(node)
                self._changed(node)

    def _changed(self, node: ast.expr) -> None:
        name = root(node)
        if name is not None:
            self.suspects.add(name)
            self.patched.add(name)
        inner = node.value if isinstance(node, ast.Subscript) else node
        if dotted(inner).startswith(("os.environ", "sys.", "pd.options", "pandas.options")):
            self.always = self.always or "changes the environment"

    def _delete(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._read(target.id)
            self._store(target.id)
            self._known.discard(target.id)
        else:
            self._expression(target)
            self._changed(target)

    def _branch(self, statements: Iterable[ast.stmt]) -> set[str]:
        """Walk over statements that run perhaps; return what they bind if they run to their end."""
        before = set(self._known)
        self._branches += 1
        self.block(statements)
        self._branches -= 1
        bound, self._known = self._known - before, before
        return bound

    def _either(self, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        both = self._branch(body) & self._branch(orelse)
        self._known |= both
        if not self._branches:
            self.stores |= both

    def _loop(self, node: _LOOPS) -> None:
        self._branches += 1
        before = set(self._known)
        if isinstance(node, ast.While):
            self._expression(node.test)
        else:
            self._expression(node.iter)
            self._quiet = False  # to iterate may be to call
            self.suspects |= loaded(node.iter)
            self._target(node.target)
        self.block(node.body)
        self._known = before
        self.block(node.orelse)
        self._branches -= 1
        self._known = before

    def _with(self, items: list[ast.withitem], body: list[ast.stmt]) -> None:
        certain = all(
            isinstance(item.context_expr, ast.Call) and dotted(item.context_expr.func) in _OPENS
            for item in items
        )
        for item in items:
            self._expression(item.context_expr)
            self.suspects |= loaded(item.context_expr)
            if item.optional_vars is not None:
                self._target(item.optional_vars)
        self._quiet = False
        if certain:
            self.block(body)
        else:
            self._branch(body)

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        self._branch([*node.body, *node.orelse])
        for handler in node.handlers:
            if handler.type is not None:
                self._expression(handler.type)
            if handler.name is not None:
                self.maybe.add(handler.name)
            before = set(self._known)
            self._known |= {handler.name} if handler.name else set()
            self._branch(handler.body)
            self._known = before
        self.block(node.finalbody)

    def _case(self, case: ast.match_case) -> None:
        before = set(self._known)
        for part in ast.walk(case.pattern):
            if isinstance(part, ast.expr):
                self._expression(part)
            name = getattr(part, "name", None) or getattr(part, "rest", None)
            if isinstance(name, str):
                self.maybe.add(name)
                self._known.add(name)
        if case.guard is not None:
            self._branches += 1
            self._expression(case.guard)
            self._branches -= 1
        self._branch(case.body)
        self._known = before

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for item in node.names:
            if item.name == "*":
                self.star = True
                continue
            name = item.asname or item.name.partition(".")[0]
            self.imports.add(name)
            if isinstance(node, ast.Import) and not item.asname:
                # Another import may have given the package a part that this one does not.
                self.maybe.add(name)
                self._known.add(name)
            else:
                self._store(name)
            module = item.name if isinstance(node, ast.Import) else f"{node.module or ''}.{item.name}"
            self.packages |= set(parents(module))

    def _expression(self, node: ast.expr) -> None:
        for part in inside_out(node):
            match part:
                case ast.Name(id=name, ctx=ast.Load()):
                    self._read(name)
                case ast.NamedExpr(target=ast.Name(id=name)):
                    self.maybe.add(name)
                case ast.Call():
                    self._call(part)
                case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                    self._inner(part)
                case ast.Await():
                    self._quiet = False

    def _inner(self, node: ast.expr) -> None:
        scope = scopes.of_expression(node)
        for name in scope.later:
            self._read(name)
        self.suspects |= scope.later
        self.maybe |= {item.target.id for item in ast.walk(node) if isinstance(item, ast.NamedExpr)}
        self._calls_within(node)
        if isinstance(node, _COMPREHENSIONS):
            self._quiet = False

    def _calls_within(self, node: ast.AST) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                self._called(part)

    def _called(self, node: ast.Call) -> str:
        """Note what a call means by its name, wherever it stands."""
        name = dotted(node.func)
        self.calls.append(name)
        self.anything |= lore.may_do_anything(name)
        self.entropy |= lore.draws_entropy(name, bare=not node.args and not node.keywords)
        if lore.reads_names_in_text(name):
            self._text_of(node)
        if lore.changes_world(name):
            self.always = self.always or f"changes settings ({name})"
        elif lore.starts_process(name):
            self.always = self.always or f"starts a process ({name})"
        if name in {"setattr", "delattr"} and node.args and (target := root(node.args[0])) is not None:
            self.patched.add(target)
        return name

    def _text_of(self, node: ast.Call) -> None:
        """Read the names that stand in a call's text; text made elsewhere may hold any."""
        for item in (*node.args, *(keyword.value for keyword in node.keywords)):
            for part in ast.walk(item):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    for name in _WORD.findall(part.value):
                        self._read(name)
            self.anything |= not isinstance(item, ast.Constant)

    def _call(self, node: ast.Call) -> None:
        magic = magics.of_call(node)
        if magic is not None:
            self._magic(magic)
            return
        name = self._called(node)
        if name == "get_ipython":
            self.anything = True  # magics have been read above: this asks the shell for something else
        if isinstance(node.func, ast.Attribute) and (receiver := root(node.func)) is not None:
            self.suspects.add(receiver)
        for item in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.suspects |= loaded(item)
        if not self._branches and self._quiet and lore.looks_like_seed(name):
            self._seed(name, node)
        elif not lore.draws_nothing(name):
            if not self._branches and self._quiet and "." not in name:
                self._seed(name, node)  # perhaps a function of the notebook that seeds first
            self._quiet = False

    def _seed(self, call: str, node: ast.Call) -> None:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        match given:
            case [ast.Constant(value=value)] if value is not None:
                self.seeds.append((call, ""))
            case [ast.Name(id=name)]:
                self.seeds.append((call, name))
            case [] if "." not in call:
                self.seeds.append((call, ""))
            case _:
                self._quiet = False

    def _magic(self, magic: magics.Magic) -> None:
        self.anything |= magic.anything
        self.always = self.always or magic.always
        for name in magic.reads:
            self._read(name)
        if magic.body is not None:
            self._quiet = self._quiet and not self._branches
            self._branches += not magic.certain  # others may swallow what goes wrong in their bodies
            self.block(ast.parse(self._transform(magic.body)).body)
            self._branches -= not magic.certain
        (self.stores if magic.certain and not self._branches else self.maybe).update(magic.stores)
