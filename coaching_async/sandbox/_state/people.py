"""Generated people: users, the teams and the group that they belong to; the same for the same ids and seed."""

import random
import unicodedata
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import attrs

from coaching_async.sandbox._wire.formats import JsonObject, format_timestamp
from coaching_async.sandbox._wire.references import division_reference, group_reference, team_reference, user_reference

from .state import State

_NAMES = (
    ("Aoife, Conor, Niamh, Sinéad", "Byrne, Kelleher, O'Neill, Ó Briain"),
    ("Kwame, Ama, Kofi, Esi", "Mensah, Owusu, Boateng, Asante"),
    ("Zoë, Daan, Fleur, Bram", "van Dijk, de Vries, Janssen, Bakker"),
    ("José, Lucía, Íñigo, Carmen", "García Pérez, Muñoz, Ibáñez, Núñez"),
    ("Łukasz, Agnieszka, Paweł, Zofia", "Wiśniewski, Kowalczyk, Wójcik, Zając"),
    ("Priya, Arjun, Meera, Rohan", "Sharma, Iyer, Patel, Nair"),
    ("Søren, Åse, Jørgen, Freja", "Møller, Kjær, Østergård, Lund"),
    ("Chloé, Benoît, Anaïs, Théo", "Lefèvre, Garnier, Dubois, Noël"),
    ("Ayşe, Çağlar, Elif, Emre", "Yıldız, Öztürk, Şahin, Demir"),  # noqa: RUF001 - a Turkish letter
    ("Hạnh, Linh, Đức, Mai", "Nguyễn, Trần, Phạm, Võ"),
    ("Grace, Marcus, Denise, Tyrell", "Johnson, Washington, Miller, Reyes"),
    ("Jürgen, Anneliese, Björn, Käthe", "Großmann, Müller, Weiß, Schäfer"),
    ("Chiara, Matteo, Nicolò, Giulia", "D'Angelo, Ferrari, Conti, De Luca"),
    ("João, Inês, Tomás, Beatriz", "Gonçalves, Araújo, Simões, Brandão"),
)
"""Given names and family names, by origin."""
_OTHER_SCRIPTS = (
    ("佐藤 花子", "hanako.sato"),
    ("Ольга Шевченко", "olha.shevchenko"),
    ("نور حداد", "nour.haddad"),
    ("김민준", "minjun.kim"),
    ("Ελένη Παππά", "eleni.pappa"),
    ("נועה לוי", "noa.levi"),
    ("王小明", "xiaoming.wang"),
    ("आरव गुप्ता", "aarav.gupta"),
)
"""Names in other scripts, and the local parts of their e-mail addresses."""
_NO_DECOMPOSITION = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ß": "ss", "\u0131": "i", "æ": "ae"}
)

# "Billing" is the beginning of another team's name, because the service finds teams by the beginning of their names.
_TEAMS = ("Billing", "Billing Evenings", "Returns", "Orders", "Claims", "New Customers", "Retention", "Field Service")
_DIVISIONS = ("Home", "North", "South")
_TITLES = ("Agent", "Agent", "Senior agent", "Quality specialist", None)
_DEPARTMENTS = ("Contact Centre", "Contact Centre", "Customer Care", None)
_USERS_OF_A_TEAM = 5


def add_people(state: State, seed: int, today: datetime) -> None:
    """Add a person for each of the state's user ids, their teams, and a group of the team leads.

    The first users lead a team each. Of five users or more the last is deleted, and the one before inactive; of twenty or
    more, another one is inactive. Both stay in their teams, because nothing says that the service removes them.
    """
    user_ids = list(dict.fromkeys(state.user_ids))  # a file may name one twice
    rng = random.Random(f"people {seed}")  # noqa: S311 - test data, not secrets
    _Generator(state, user_ids, rng, today).run()


@attrs.frozen
class _Generator:
    state: State
    user_ids: Sequence[str]
    rng: random.Random
    today: datetime

    def run(self) -> None:
        state, user_ids = self.state, self.user_ids
        divisions = [division_reference(self._new_id()) | {"name": name} for name in _DIVISIONS]
        teams = [self._team(number, divisions) for number in range(max(1, len(user_ids) // _USERS_OF_A_TEAM))]
        leads = user_ids[: len(teams)]
        for index, (user_id, (name, email)) in enumerate(zip(user_ids, self._identities(), strict=False)):
            team = teams[index % len(teams)]
            lead = leads[index % len(teams)] if index >= len(leads) else leads[0]
            user = self._user(user_id, name, email, team["division"])
            self._optional_fields(user, lead, is_lead=index < len(leads))
            self._set_state(user, len(user_ids) - index, divisions[0])
            state.users[user_id] = user
            # Every third lead belongs to no team, because a supervisor need not be a member.
            if index >= len(leads) or index % 3 != 1:
                state.members[team["id"]].append(user_id)
        group = group_reference(self._new_id()) | {"name": "Coaching leads"}
        state.groups[group["id"]] = group
        state.members[group["id"]] = list(leads)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def _identities(self) -> Iterator[tuple[str, str]]:
        """Yield names and e-mail addresses without end. Names may come twice, addresses never."""
        pool = [
            (f"{given} {family}", f"{_ascii(given)}.{_ascii(family)}")
            for given_names, family_names in _NAMES
            for given in given_names.split(", ")
            for family in family_names.split(", ")
        ]
        others = list(_OTHER_SCRIPTS)
        self.rng.shuffle(pool)
        self.rng.shuffle(others)
        used: dict[str, int] = {}
        for index in range(2**31):
            names, position = (others, index // 10) if index % 10 == 4 else (pool, index)
            name, local_part = names[position % len(names)]
            used[local_part] = number = used.get(local_part, 0) + 1
            email = f"{local_part}{number if number > 1 else ''}@corp.example"
            # Some addresses have upper-case letters, because the service keeps them as they were typed.
            yield name, email if index % 5 == 3 else email.lower()

    def _user(self, user_id: str, name: str, email: str, division: JsonObject) -> JsonObject:
        return {
            **user_reference(user_id),
            "name": name,
            "division": division,
            "chat": {"jabberId": f"{self._new_id()}@sandbox.orgspan.example"},
            "email": email,
            "primaryContactInfo": [{"address": email, "mediaType": "EMAIL", "type": "PRIMARY"}],
            "addresses": [],
            "state": "active",
            "username": email,
            "version": self.rng.randint(1, 200),
            "acdAutoAnswer": False,
        }

    def _optional_fields(self, user: JsonObject, manager_id: str, *, is_lead: bool) -> None:
        title = "Team lead" if is_lead else self.rng.choice(_TITLES)
        department = self.rng.choice(_DEPARTMENTS)
        user |= {name: text for name, text in (("title", title), ("department", department)) if text}
        if manager_id != user["id"]:
            user["manager"] = user_reference(manager_id)

    def _set_state(self, user: JsonObject, from_end: int, home: JsonObject) -> None:
        count = len(self.user_ids)
        if from_end == 1 and count >= 5:
            user |= {"state": "deleted", "division": home}
            user.pop("manager", None)
            user.pop("department", None)
        elif (from_end == 2 and count >= 5) or (from_end == 3 and count >= 20):
            user["state"] = "inactive"

    def _team(self, number: int, divisions: Sequence[JsonObject]) -> JsonObject:
        cycle, position = divmod(number, len(_TEAMS))
        reference = team_reference(self._new_id())
        created = self.today - timedelta(days=self.rng.randint(200, 600))
        self.state.teams[reference["id"]] = team = {
            **reference,
            "name": f"{_TEAMS[position]} {cycle + 1}" if cycle else _TEAMS[position],
            "division": divisions[(number + 1) % len(divisions)],
            "description": self.rng.choice(("Weekdays, 8 to 16", "Weekdays, 12 to 20", "All week")),
            "dateCreated": format_timestamp(created),
            "dateModified": format_timestamp(created + timedelta(days=self.rng.randint(1, 199))),
        }
        self.state.members[reference["id"]] = []
        return team


def _ascii(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.translate(_NO_DECOMPOSITION))
    return "".join(letter for letter in decomposed if letter.isascii() and letter.isalpha())
