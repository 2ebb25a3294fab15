"""What starts with a mailed link: a new password for whoever lost theirs, and a new e-mail.

A link is good once and for a while; using one ends the others of its kind. Asking is answered alike for every e-mail,
known or not, in the same time: the letter is written later.
"""

from uuid import UUID

from django.db import IntegrityError, transaction

from nexgent import clock
from nexgent.accounts import letters, services
from nexgent.accounts.guards import Guard
from nexgent.accounts.models import Letter, MailedLink, User
from nexgent.errors import InvalidInput, Refusal


def reset_ask(*, email: str, address: str) -> None:
    """Ask for a link to a new password. Raises `Refusal` ACCOUNT_LOCKED when asked too often from this address."""
    email = services.email_fold(email)[:255]
    Guard("reset", email, address).admit()
    letters.post(Letter.Kind.RESET, email, address=address)


def reset_use(*, secret: str, new: str) -> User:
    """Set the password of the link's user and end all their sessions.

    Raises `Refusal` LINK_INVALID, `InvalidInput` for a weak password (the link stays good).
    """
    with transaction.atomic():
        link = _take(secret, MailedLink.Kind.RESET)
        user = services.password_set(user_id=link.user_id, new=new)
    letters.notice(user, "The password of your account was reset by a mailed link.")
    return user


def is_good(secret: str) -> bool:
    """Whether a link to a new password still works."""
    now = clock.now()
    hashed = letters.link_hash(secret)
    return MailedLink.objects.filter(
        secret_hash=hashed, kind=MailedLink.Kind.RESET, used_at=None, expires_at__gt=now, user__is_active=True
    ).exists()


def email_ask(*, user: User, email: str) -> None:
    """Mail a link to the new address that makes it this user's. Raises `InvalidInput` for what is no e-mail."""
    email = services.email_fold(email)
    services.email_check(email)
    if email == user.email:
        raise InvalidInput({"email": "is your e-mail already"})
    letters.post(Letter.Kind.EMAIL, email, userId=str(user.pk))


def email_use(*, secret: str, user_id: UUID) -> str:
    """Give the signed-in user the link's e-mail; returns it. Raises `Refusal` LINK_INVALID.

    The old address is told, and links to a new password that lie there end.
    """
    try:
        with transaction.atomic():
            link = _take(secret, MailedLink.Kind.EMAIL, user_id=user_id)
            user = User.objects.select_for_update(no_key=True).get(pk=link.user_id)
            letters.notice(user, f"The e-mail of your account is now {link.email}.")
            user.email = link.email
            user.save(update_fields=["email"])
            old = MailedLink.objects.filter(user_id=user.pk, kind=MailedLink.Kind.RESET, used_at=None)
            old.update(used_at=clock.now())
    except IntegrityError as problem:
        raise invalid() from problem
    return link.email


def invalid() -> Refusal:
    """The one answer to a link that is wrong, was used or has expired."""
    return Refusal("LINK_INVALID", "This link is not valid, was used already or has expired.")


def _take(secret: str, kind: str, *, user_id: UUID | None = None) -> MailedLink:
    """Use up a link, and with it all others of its kind and user.

    Its user is locked first, as by whoever changes a password and ends links after it.
    """
    now = clock.now()
    good = MailedLink.objects.filter(
        secret_hash=letters.link_hash(secret), kind=kind, used_at=None, expires_at__gt=now, user__is_active=True
    )
    if user_id is not None:
        good = good.filter(user_id=user_id)
    whose = good.values_list("user_id", flat=True).first()
    if whose is None:
        raise invalid()
    User.objects.select_for_update(no_key=True).filter(pk=whose).first()
    link = good.select_for_update(no_key=True, of=("self",)).first()
    if link is None:
        raise invalid()
    MailedLink.objects.filter(user_id=whose, kind=kind, used_at=None).update(used_at=now)
    return link
