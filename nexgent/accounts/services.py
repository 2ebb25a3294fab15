"""Use cases of accounts: users with their workspace, sign-in with its lock, passwords. Keys stand in `keys.py`."""

from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction

from nexgent import clock
from nexgent.accounts import factors, sessions
from nexgent.accounts.guards import Guard
from nexgent.accounts.keys import NewKey, api_key_create, api_key_revoke
from nexgent.accounts.models import MailedLink, Membership, Role, User, Workspace
from nexgent.errors import InvalidInput, Refusal

__all__ = [
    "NewKey",
    "api_key_create",
    "api_key_revoke",
    "authenticate",
    "create_first_admin",
    "email_check",
    "email_fold",
    "has_administrator",
    "password_change",
    "password_check",
    "password_set",
    "proof_check",
    "sign_in",
    "user_create",
]
PASSWORD_LENGTH_MAX = 128
EMAIL_LENGTH_MAX = 255
_FIRST_ADMIN_LOCK = 0x6E65_7867_656E_7401


def email_fold(email: str) -> str:
    """The one form of an e-mail address: trimmed, lower case, without NUL, which no column takes."""
    return email.replace("\x00", "").strip().lower()


def email_check(email: str) -> None:
    """Raises `InvalidInput` for what is no e-mail address, or one longer than we keep."""
    try:
        validate_email(email)
    except ValidationError as problem:
        raise InvalidInput({"email": "must be an e-mail address"}) from problem
    if len(email) > EMAIL_LENGTH_MAX:
        raise InvalidInput({"email": f"must be at most {EMAIL_LENGTH_MAX} characters"})


def password_check(password: str, *, email: str) -> None:
    """Raises `InvalidInput` when a password is too weak."""
    if len(password) > PASSWORD_LENGTH_MAX:
        raise InvalidInput({"password": f"must be at most {PASSWORD_LENGTH_MAX} characters"})
    try:
        validate_password(password, User(email=email))
    except ValidationError as problem:
        raise InvalidInput({"password": " ".join(problem.messages)}) from problem


def user_create(*, email: str, password: str, is_superuser: bool = False, must_change_password: bool = False) -> User:
    """A user with a personal workspace that they own. Raises `InvalidInput`, or `Refusal` EMAIL_TAKEN."""
    email = email_fold(email)
    email_check(email)
    password_check(password, email=email)
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                email,
                password,
                is_staff=is_superuser,
                is_superuser=is_superuser,
                must_change_password=must_change_password,
            )
            workspace = Workspace.objects.create(name=email[:100])
            Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    except IntegrityError as problem:
        raise Refusal("EMAIL_TAKEN", "A user with this e-mail exists.") from problem
    return user


def has_administrator() -> bool:
    """Whether an administrator exists."""
    return User.objects.filter(is_superuser=True).exists()


def create_first_admin(email: str, password: str, *, must_change_password: bool = False) -> User:
    """The first administrator (superuser, owner of a workspace).

    Raises `Refusal` ADMIN_EXISTS when there is one, `InvalidInput` for a bad e-mail or a weak password. Never changes
    an existing user. Two callers at once make one.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_ADMIN_LOCK])
        if has_administrator():
            raise Refusal("ADMIN_EXISTS", "An administrator exists already; nothing was changed.")
        return user_create(email=email, password=password, is_superuser=True, must_change_password=must_change_password)


def authenticate(*, email: str, password: str, address: str) -> User:
    """The user of these credentials.

    Raises `Refusal` AUTHENTICATION_ERROR, or ACCOUNT_LOCKED (423) with `lockedUntil` from the fifth failure of this
    e-mail from this address on, for unknown e-mails too and in the same time.
    """
    email = email_fold(email)[:255]
    guard = Guard("login", email, address)
    guard.admit()
    user = User.objects.filter(email=email).first()
    if user is None:
        make_password(password)  # as slow as a comparison
    elif user.check_password(password) and user.is_active:
        guard.forget()
        return user
    raise guard.fail(Refusal("AUTHENTICATION_ERROR", "The e-mail or the password is wrong."))


def sign_in(*, email: str, password: str, code: str = "", address: str) -> User:
    """The user of these credentials, second factor included.

    Raises what `authenticate` raises; `Refusal` SECOND_FACTOR_REQUIRED when the password is right and a code is due,
    CODE_WRONG when it is wrong.
    """
    user = authenticate(email=email, password=password, address=address)
    if factors.is_needed(user.pk):
        if not code:
            raise Refusal("SECOND_FACTOR_REQUIRED", "Send a code of your authenticator app, or a recovery code.")
        factors.code_check(user, code)
    return user


def proof_check(user: User, *, password: str, code: str) -> None:
    """Accept a proof that it is still this person: a code where there is a second factor, else the password.

    Raises `InvalidInput`, `Refusal` CODE_WRONG or ACCOUNT_LOCKED.
    """
    if factors.is_needed(user.pk):
        if not code:
            raise InvalidInput({"code": "is required: you have a second factor"})
        factors.code_check(user, code)
        return
    guard = Guard("password", str(user.pk))
    guard.admit()
    known = User.objects.get(pk=user.pk)
    if not known.check_password(password):
        raise guard.fail(InvalidInput({"password": "is wrong"}))
    guard.forget()


def password_change(*, user_id: UUID, current: str, new: str, page_key: str | None = None) -> User:
    """Set a new password and end all other sessions; `page_key` is the page session that goes on. Returns the user with
    the new password, for the session that follows.

    Raises `InvalidInput` when the current password is wrong or the new one is too weak, `Refusal` ACCOUNT_LOCKED after
    five wrong ones.
    """
    guard = Guard("password", str(user_id))
    guard.admit()
    user = User.objects.get(id=user_id)
    if not user.check_password(current):
        raise guard.fail(InvalidInput({"currentPassword": "is wrong"}))
    guard.forget()
    if current == new:
        raise InvalidInput({"password": "must differ from the current one"})
    return password_set(user_id=user_id, new=new, page_key=page_key, verified=user.password)


def password_set(*, user_id: UUID, new: str, page_key: str | None = None, verified: str | None = None) -> User:
    """Set a password without asking for the current one; end all sessions but that page session, and mailed links to
    a new password. `verified` is the hash that the current one was compared with, if it was.

    Raises `InvalidInput` when it is too weak, or when somebody else has changed it since it was compared.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(id=user_id)
        if verified is not None and user.password != verified:
            raise InvalidInput({"currentPassword": "is wrong"})
        password_check(new, email=user.email)
        user.set_password(new)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
        open_links = MailedLink.objects.filter(user_id=user_id, kind=MailedLink.Kind.RESET, used_at=None)
        open_links.update(used_at=clock.now())
        sessions.end_all(user_id, except_page=page_key)
    return user
