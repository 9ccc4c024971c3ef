"""Hand one letter to a mail server.

Rule: the server proves its name before a password is sent; what it says is a stranger's text, cut and cleaned.
"""

from __future__ import annotations

import ssl
from email.message import EmailMessage

import aiosmtplib
from aiosmtplib import errors as smtp

from halle_node.notify.settings import MailSettings
from halle_protocol.documents.text import clean_text
from halle_protocol.errors import HalleError, Refused, Unavailable

TIMEOUT_S = 20.0
SAID_CHARS = 160


async def send(server: MailSettings, password: str, message: EmailMessage) -> None:
    """Return when the server has taken the letter.

    Raises: Unavailable smtp-unreachable, smtp-timeout, smtp-busy; Refused smtp-tls, smtp-auth, smtp-refused.
    """
    try:
        context = None if server.security == "none" else ssl.create_default_context(cafile=server.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise Refused(
            "The file with the server's authority cannot be used.", code="smtp-tls", hint="Check ca_file."
        ) from error
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.used_port,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=context,
        timeout=TIMEOUT_S,
        # Our machine's name is nobody's business.
        local_hostname="[127.0.0.1]",
    )
    try:
        async with client:
            if server.user:
                await client.login(server.user, password)
            await client.send_message(message)
    except Exception as error:
        found = _explained(error, server)
        if found is None:
            raise
        raise found from error


def _explained(error: Exception, server: MailSettings) -> HalleError | None:
    """Return a failure of the library as an error of ours, None for a defect."""
    where = f"{server.host}:{server.used_port}"
    if isinstance(error, smtp.SMTPAuthenticationError):
        return Refused(
            f"The mail server refuses the login: {_said(error)}",
            code="smtp-auth",
            hint="Check user and password; many providers want an app password.",
        )
    if isinstance(error, smtp.SMTPTimeoutError | TimeoutError):
        return Unavailable(
            f"The mail server {where} does not answer in time.", code="smtp-timeout", hint="Check host and port."
        )
    if "AUTH extension" in str(error) and not isinstance(error, smtp.SMTPResponseException):
        return Refused(
            f"The mail server {where} offers no login.", code="smtp-auth", hint="Remove the user, or change the port."
        )
    if _is_about_tls(error):
        return Refused(
            f"No safe connection to {where}: {_text(error)}",
            code="smtp-tls",
            hint="Check security and port (465 is tls, 587 is starttls), and that the certificate names this host.",
        )
    if isinstance(error, smtp.SMTPRecipientsRefused | smtp.SMTPResponseException):
        if isinstance(error, smtp.SMTPResponseException) and 400 <= error.code < 500:
            return Unavailable(f"The mail server cannot take it now: {_said(error)}", code="smtp-busy")
        return Refused(
            f"The mail server refuses the letter: {_said(error)}",
            code="smtp-refused",
            hint="Check the two addresses; many servers send only for their own.",
        )
    if isinstance(error, smtp.SMTPException | OSError):
        return Unavailable(
            f"The mail server {where} cannot be reached.", code="smtp-unreachable", hint="Check host and port."
        )
    return None


def _is_about_tls(error: Exception) -> bool:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(causes) < 8:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(isinstance(each, ssl.SSLError) for each in causes) or "STARTTLS" in str(error)


def _said(error: Exception) -> str:
    if isinstance(error, smtp.SMTPRecipientsRefused):
        return _text(error.recipients[0]) if error.recipients else ""
    return _text(getattr(error, "message", error))


def _text(value: object) -> str:
    return clean_text(str(value), multiline=False)[:SAID_CHARS]
