"""Where the file of an operation is to be: on this machine or in a store."""

from __future__ import annotations

from typing import Any

from bgdl_jupyter.model.operation_traits import OperationTraits
from bgdl_jupyter.model.stores import name_in
from bgdl_jupyter.storage.filenames import name_from_uri


class Placed(OperationTraits):
    """What an operation says of the place of its file."""

    @property
    def name(self) -> str:
        """The file's name, or what stands for it until there is one."""
        store_url = self._trait_values["store_url"]
        if store_url:
            return name_in(store_url) or self.fallback_name
        path = self.result_file
        return path.name if path is not None else self.fallback_name

    @property
    def fallback_name(self) -> str:
        """What the file is called where the server says nothing else."""
        name: str = self.options.get("fallback_name") or name_from_uri(self.requested_uri)
        return name

    @property
    def destination(self) -> str | None:
        """Where the file is to be: a path of this machine or the URL in a store; None until the server has named it."""
        if self.store_url:
            return self.store_url if name_in(self.store_url) else None
        return str(self.result_file) if self.result_file is not None else None

    def placed_at(self, place: str) -> dict[str, Any]:
        """Return the trait that says where the file is, and its value as it is recorded."""
        return {"store_url" if self._trait_values["store_url"] else "result_file": place}
