"""What can be wrong with a file; the API turns each into a problem."""

from __future__ import annotations

from typing import ClassVar

from app.errors import DomainError, NotFoundError


class FileNotFoundInJobError(NotFoundError):
    """No such job or file, or not the caller's to see."""


class FileRejectedError(DomainError):
    """The file breaks a rule. `fault` names it: one of `FAULTS`."""

    code: ClassVar[str] = "file-rejected"

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message, fault=fault)
        self.fault = fault


class FileNotUploadedError(DomainError):
    """Nothing has been put to the upload URL yet: put it, then confirm again."""

    code: ClassVar[str] = "file-not-uploaded"

    def __init__(self) -> None:
        super().__init__("No finished upload of this file was found; upload it, then confirm again.")


class TooManyFilesError(DomainError):
    """The job holds as many files as a job may."""

    code: ClassVar[str] = "too-many-files"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A job holds at most {limit} files.", limit=limit)


class UploadClosedError(DomainError):
    """The job's state takes no such files now."""

    code: ClassVar[str] = "wrong-state"

    def __init__(self, status: str, phase: str) -> None:
        super().__init__(
            f"The job takes no files from you while it is {status} ({phase}).", status=status, phase=phase
        )


FAULTS: dict[str, str] = {
    "type-not-allowed": "Files of this type are not taken here.",
    "extension-mismatch": "The file name's extension does not belong to the declared type.",
    "too-large": "The file is larger than allowed.",
    "empty": "The file is empty.",
    "size-mismatch": "The uploaded file's size is not the declared one.",
    "type-mismatch": "The upload was stored under another type than the declared one.",
    "content-mismatch": "The file's content is not of the declared type.",
    "url-mismatch": "The url is not the one that was given for this file.",
    "metadata-mismatch": "The metadata does not agree with what was declared.",
}


def rejected(fault: str) -> FileRejectedError:
    """The error of a fault, with its sentence."""
    return FileRejectedError(fault, FAULTS[fault])
