"""Command groups that import a command's module only when that command runs or shows its own help.

``--help`` of a group and the shell's completion name dozens of commands; importing SQLAlchemy, psycopg and the rest for
each of them costs most of a second.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import typer
from typer import _coercion, core, main


class _LateConversion(_coercion.RuntimeParam):
    """The conversion of a parameter, built once there is a value: building it imports pydantic."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Convert the value; for completion, which uses none, leave it as it is."""
        return value if ctx.resilient_parsing else super().coerce(value, param, ctx)

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        return _coercion.build_runtime_param(param.type_descriptor)._coerce_value(value, param, ctx)  # noqa: SLF001


class _LateConversions:
    """A command or group that converts only the parameters that were given, or have a default.

    typer itself builds the conversion of each, which for ``--help`` is half of all imports.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """List the parameters, as the next class does."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for each in params:
            if each._runtime_param is None:  # noqa: SLF001
                known = each.type_descriptor
                each._runtime_param = _LateConversion(  # noqa: SLF001
                    parameter_info=known.parameter_info, annotation=known.annotation
                )
        return params


class LoggingCommand(_LateConversions, core.TyperCommand):
    """A command whose log goes to standard error, so that its standard output is its answer alone."""

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """Read the arguments; a value that is refused is explained without the words of pydantic."""
        try:
            return super().make_context(*arguments, **extra)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run it; the log is configured once something imports it, which commands that only read never do."""
        if "structlog" in sys.modules:
            _configure_log()
        elif not any(isinstance(each, _LogFinder) for each in sys.meta_path):
            sys.meta_path.insert(0, _LogFinder())
        with _traced(ctx.command_path):
            return super().invoke(ctx)


def _traced(path: str) -> AbstractContextManager[Any]:
    """Begin the span of a command, below the one that TRACEPARENT names; what runs until it is stopped has none."""
    from worker.core import tracing

    if path in _LASTING or not tracing.is_wanted():
        return nullcontext()
    if untraced := tracing.configure("command"):
        sys.stderr.write(f"no traces are sent: {untraced}\n")
    return tracing.begun(path, parent=os.environ.get("TRACEPARENT"))


_LASTING = frozenset(f"darkroom {name}" for name in ("node", "sandbox", "top", "up", "watch", "web"))
"""Commands whose span would end with them, and until then be missed by all those below it."""


class _LogFinder:
    """Configures the log as soon as structlog, or the module that configures it, has been imported."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find either as the other finders do, with a loader that configures the log; nothing else is found here."""
        if fullname not in {"structlog", "worker.logs"}:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_configure(module: ModuleType) -> None:
                execute(module)
                _configure_log()

            spec.loader.exec_module = execute_and_configure  # type: ignore[method-assign]
        return spec


def _configure_log() -> None:
    from worker import logs

    logs.to_standard_error()


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a group, described without importing it."""

    name: str
    target: str
    """Where its function is: ``module:function``, the module below ``worker.cli``."""
    summary: str
    """The first sentence of the function's docstring, for lists of commands (a test compares the two)."""
    examples: tuple[str, str]
    """Two command lines that its ``--help`` ends with."""
    panel: str | None = None
    """The heading in the list of commands."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its parser."""

    def load(self) -> core.TyperCommand:
        """Import the function and build the command from it."""
        module, name = self.target.split(":")
        function: Callable[..., None] = getattr(import_module(f"worker.cli.{module}"), name)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(
            name=self.name, cls=LoggingCommand, epilog=_epilog(self.examples), context_settings=dict(self.settings)
        )(function)
        built = main.get_command(alone)
        assert isinstance(built, core.TyperCommand)
        for each in built.params:
            if help_text := getattr(each, "help", None):
                each.help = escaped(help_text)  # type: ignore[attr-defined]
        return built

    def stub(self) -> core.TyperCommand:
        """Build the command's entry in a list of commands."""
        return core.TyperCommand(self.name, help=self.summary, rich_help_panel=self.panel)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Commands under one name."""

    name: str
    summary: str
    commands: "Sequence[Command | Group]"
    panel: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names that people try, and the command that is meant; no list shows them."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """Names that people try, and what to run instead where that is more than one command, or spends or cancels."""

    def load(self) -> "LazyGroup":
        """Build the group; none of its commands is imported."""
        return LazyGroup(
            name=self.name,
            group=self,
            help=self.summary,
            epilog=self.epilog,
            no_args_is_help=True,
            rich_help_panel=self.panel,
        )

    @property
    def examples(self) -> tuple[str, ...]:
        """Two command lines that its ``--help`` ends with: the first ones of its first two commands."""
        return tuple(entry.examples[0] for entry in self.commands[:2])

    @property
    def epilog(self) -> str:
        """What follows the list of its commands."""
        return _epilog(self.examples)

    def stub(self) -> "LazyGroup":
        """Build what a list of commands shows of it: the group itself, which is cheap."""
        return self.load()


class LazyGroup(_LateConversions, core.TyperGroup):
    """A group whose commands are stubs in lists and in completion, and are imported when one is called."""

    def __init__(self, *, group: Group, **attributes: Any) -> None:
        """Take the commands from ``group``."""
        self._entries = {entry.name: entry for entry in group.commands}
        self._aliases, self._hints = group.aliases, group.hints
        super().__init__(**attributes | {"commands": {name: entry.stub() for name, entry in self._entries.items()}})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that the arguments name, and import it."""
        if args and args[0] in self._hints:
            ctx.fail(f"No such command '{args[0]}'. {self._hints[args[0]]}")
        if args:
            args = [self._aliases.get(args[0], args[0]), *args[1:]]
        name, found, rest = super().resolve_command(ctx, args)
        entry = None if name is None else self._entries.get(name)
        return name, found if entry is None else entry.load(), rest


def group_class(group: Group) -> type[core.TyperGroup]:
    """Make the class that ``typer.Typer(cls=...)`` builds the topmost group with."""

    class Topmost(LazyGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(group=group, **attributes)

    return Topmost


def _epilog(examples: Sequence[str]) -> str:
    """Put each example on a line of its own: typer joins single line ends and keeps double ones."""
    return "\n\n".join(("[bold]Examples[/bold]", *(f"  {escaped(each)}" for each in examples)))


def escaped(text: str) -> str:
    """Escape what rich would read as markup."""
    return text.replace("[", r"\[")
