"""Whether two actors are one person: who makes something may not be the one who approves it."""


def person_of(actor: str) -> str:
    """Return the person behind an actor: the user of a session, a token or the operating system, in lower case.

    ``web:ann@example.com`` is ann@example.com, ``token:shop@ann`` is ann, ``cli:ann@host`` is ann; a name that a person
    gave is that name.
    """
    name = actor.strip().casefold()
    source, _, rest = name.partition(":")
    match source:
        case "cli":
            return rest.rpartition("@")[0] or rest
        case "token":
            return rest.partition("@")[2] or rest
        case "web":
            return rest
    return name


def is_same_person(one: str, other: str) -> bool:
    """Return whether both may be the same person; True where that is unknown.

    The users ann and ann@example.com are one: a second person has another name.
    """
    return bool(_names(one) & _names(other))


def _names(actor: str) -> set[str]:
    person = person_of(actor)
    return {person, person.partition("@")[0]}
