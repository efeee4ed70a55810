"""A contract type for import-linter: a package imports only what is listed.

import-linter's own types name what is forbidden; a pure package is better described by the few
modules that it may use, so that a new impure module needs no new rule.
"""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowListContract(Contract):
    """Every import from outside ``package`` goes to one of ``allowed`` (top-level names)."""

    type_name = "allow_list"

    package = fields.StringField()
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        package = str(self.package)
        inside = {package, *graph.find_descendants(package)}
        broken = [
            (importer, imported)
            for importer in sorted(inside)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported not in inside and imported.partition(".")[0] not in self.allowed
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["broken"]:
            output.print_error(f"{importer} must not import {imported}")
