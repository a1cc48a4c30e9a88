# SPDX-License-Identifier: MPL-2.0
"""Random histories: a small mesh and what its members do, from a seed.

A history is a list of steps that can be left out one by one (so that a failing one shrinks):
    ("directory", {...})                 in force from here on
    ("say", source, [event ...], id)     one job: type, time, recorded?, group?, data; no numbers
    ("again", id)                        the same job once more, byte for byte
    ("batch", at, expire, figures)       commits what was said since the last one
    ("reopen",)                          the engine is opened anew
`lines` numbers what is left and makes the player's lines of it. Most of what is said is right; some
is refused, on purpose or because the author of a random step does not look at every rule.
"""

import copy
import datetime
import hashlib
import random
import zoneinfo

HOUR = 3_600_000
DAY = 24 * HOUR
HELSINKI = zoneinfo.ZoneInfo("Europe/Helsinki")
SERVICES = ["startup-advice", "financing", "export", "other"]
SEGMENTS = ["founder", "local_small", "unknown"]
ORIGINS = ["walk_in", "joint_visit", "other", None]
RESULTS = ["company_founded", "funding_granted", "ownership_changed", "siting_decided",
           "siting_lost", "recruited", "exported"]
# Local days around which a history may begin: clocks go forward and back, years end, Easter,
# midsummer, a plain Monday.
STARTS = ["2026-03-25", "2025-10-20", "2025-12-19", "2026-03-31", "2026-06-15", "2026-01-05",
          "2024-02-26", "2025-04-14"]
ARCHIVE = "log-1"
READER = "see"


# --- the mesh ---

def business_id(number):
    """Seven digits and their check digit; the numbers without one are passed over."""
    while True:
        digits = f"{number:07d}"
        rest = sum(int(d) * w for d, w in zip(digits, (7, 9, 10, 5, 8, 4, 2))) % 11
        if rest != 1:
            return f"{digits}-{0 if rest == 0 else 11 - rest}"
        number += 1


def z85(data):
    letters = ("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
               ".-:+=^!/*?&<>()[]{}@%$#")
    text = ""
    for i in range(0, len(data), 4):
        value = int.from_bytes(data[i:i + 4], "big")
        text += "".join(letters[value // 85 ** k % 85] for k in (4, 3, 2, 1, 0))
    return text


def member(name, organisation, roles, regions, **more):
    key = hashlib.sha256(name.encode()).digest()
    return {"id": name, "organisation": business_id(organisation), "type": "other", "roles": roles,
            "regions": regions, "name": {"fi": "Toimija " + name}, "curve": z85(key),
            "sealing": key.hex(), "signing": key.hex(), **more}


def mesh():
    """Three regions in two areas, a bench; members of one and of several regions, two of one
    organisation, a national one, an authority."""
    both = ["node", "party"]
    regions = [
        {"id": "mikkeli", "area": "etela-savo", "settings": {"visibility": "nation"}},
        {"id": "pieksamaki", "area": "etela-savo",
         "settings": {"answer_days": 3, "contact_days": 2, "visibility": "nation"}},
        {"id": "tampereen-kaupunkiseutu", "area": "pirkanmaa",
         "settings": {"visibility": "nation", "silent_days": 5, "unanswered_days": 2}},
        {"id": "bench", "kind": "bench"},
    ]
    real = [region["id"] for region in regions[:3]]
    members = [
        member("kunta", 1000001, both + ["coordinator:mikkeli"], real[:1]),
        member("ely", 1000002, both + ["coordinator:pieksamaki"], real[:2], type="ely"),
        member("te", 1000003, both, real[:1], type="te-office"),
        member("firma", 1000001, both, real[:1]),
        member("agency", 1000004, both, real[1:3]),
        member("campus", 1000005, both + ["coordinator:tampereen-kaupunkiseutu"], real[2:]),
        member("finnvera", 1000006, both, real[:1], national=True),
        member("gone", 1000007, both, real[:2]),
        member("drv", 1000008, ["node", "speaker:bench"], ["bench"]),
        member("b1", 1000009, ["node"], ["bench"]),
        member("b2", 1000010, ["node"], ["bench"]),
        member("op", 1000011, ["operator"], []),
        member(READER, 1000012, ["party", "ministry", "operator"], real + ["bench"]),
    ]
    return {"mesh": hashlib.sha256(b"authority").hexdigest(), "regions": regions,
            "members": members}


def local(text, hour):
    date = datetime.date.fromisoformat(text)
    return int(datetime.datetime(date.year, date.month, date.day, hour,
                                 tzinfo=HELSINKI).timestamp()) * 1000


def day_text(at):
    return datetime.datetime.fromtimestamp(at / 1000, HELSINKI).strftime("%Y-%m-%d")


# --- the author ---

class Author:
    """Writes a history. What it knows of referrals is only enough to say sensible things."""

    REGIONS, KINDS = (50, 25, 15, 10), (80, 12, 8)

    def __init__(self, seed, size=None):
        self.rng = random.Random(seed)
        self.steps = []
        self.directory = mesh()
        self.now = local(self.rng.choice(STARTS), self.rng.randrange(7, 20)) + \
            self.rng.randrange(HOUR)
        self.referrals, self.ids, self.said = [], 0, 0
        self.skew = {m["id"]: self.rng.choice([0, 0, 0, -20 * 60_000, 15 * 60_000])
                     for m in self.directory["members"]}
        self.meetings, self.forums, self.actions, self.items = [], [], [], []
        self.archive = []
        self.size = size or self.rng.choice([20, 40, 80, 120])
        self.pace = self.rng.choice([HOUR, 5 * HOUR, DAY])
        self.late = self.rng.choice([0, 0.05, 0.2])

    # saying

    def number(self, prefix):
        self.ids += 1
        return f"{prefix}{self.ids}"

    def time_of(self, who):
        """When it happened by the member's own clock: mostly now, some days ago, or ahead."""
        at = self.now + self.skew.get(who, 0)
        luck = self.rng.random()
        if luck < self.late:
            return at - self.rng.randrange(12 * DAY)
        if luck < 1.2 * self.late:
            return at + self.rng.randrange(3 * DAY)
        return at - self.rng.randrange(600_000)

    def event(self, who, name, data, at=None):
        time = self.time_of(who) if at is None else at
        event = {"type": f"kapula.{name}.v1", "time": time, "data": data}
        if self.rng.random() < 0.8:
            event["recorded"] = max(time, self.now + self.skew.get(who, 0))
        return event

    def say(self, who, *events, source=None):
        self.said += 1
        self.steps.append(("say", source or f"{who}/p", list(events), self.said))
        if self.rng.random() < 0.03:
            self.steps.append(("again", self.rng.randint(1, self.said)))

    def speaker(self, referral, who):
        return "drv" if referral["region"] == "bench" else who

    # referrals

    def members_of(self, region):
        return [m["id"] for m in self.directory["members"] if region in m["regions"]
                and "node" in m["roles"] and m["id"] != "drv"]

    def candidate(self, region, sender):
        others = self.members_of(region) + (["finnvera"] if region != "bench" else [])
        others = [m for m in others if m != sender] or ["te"]
        return "external:bank" if self.rng.random() < 0.04 else self.rng.choice(others)

    def created(self, region, sender, to, case, parent=None):
        rng = self.rng
        kind = rng.choices(["transfer", "guidance", "lead"], self.KINDS)[0]
        referral = {"id": self.number("r"), "region": region, "from": sender, "to": to,
                    "case": case, "kind": kind, "state": "created", "parent": parent}
        data = {"kind": kind, "referral": referral["id"], "from": sender, "to": to,
                "region": region, "service": rng.choice(SERVICES),
                "segment": rng.choice(SEGMENTS), "case": case}
        if rng.random() < 0.3:
            data["origin"] = rng.choice([origin for origin in ORIGINS if origin])
        if rng.random() < 0.2:
            data["warm"] = True
        if rng.random() < 0.2:
            data["return_expected"] = True
        if rng.random() < 0.1:
            data["meeting"] = rng.choice([m["id"] for m in self.meetings] or ["m0"])
        if parent is not None:
            data["parent"] = parent["id"]
        self.referrals.append(referral)
        return data

    def act_create(self):
        region = self.rng.choices(["mikkeli", "pieksamaki", "tampereen-kaupunkiseutu", "bench"],
                                  self.REGIONS)[0]
        sender = self.rng.choice(self.members_of(region))
        roots = [r for r in self.referrals if r["region"] != "bench" or region == "bench"]
        same = bool(roots) and self.rng.random() < 0.1
        case = self.rng.choice(roots)["case"] if same else self.number("case")
        data = self.created(region, sender, self.candidate(region, sender), case)
        who = self.speaker(self.referrals[-1], sender)
        self.say(who, self.event(who, "referral.created", data))

    def pick(self, *states):
        some = [r for r in self.referrals if r["state"] in states]
        return self.rng.choice(some[-12:]) if some else None

    def tell(self, referral, name, data=None, who=None):
        who = self.speaker(referral, who or referral["to"])
        data = {"referral": referral["id"], **(data or {})}
        self.say(who, self.event(who, "referral." + name, data))

    def act_deliver(self):
        referral = self.pick("created")
        if referral:
            self.tell(referral, "delivered")
            referral["state"] = "delivered"

    def act_accept(self):
        referral = self.pick("delivered", "delivered", "created")
        if referral:
            segment = {"segment": self.rng.choice(SEGMENTS)} if self.rng.random() < 0.2 else {}
            self.tell(referral, "accepted", segment)
            referral["state"] = "accepted"

    def act_contact(self):
        referral = self.pick("accepted", "contact", "delivered")
        if referral:
            reached = self.rng.random() < 0.6
            self.tell(referral, "contacted", {"result": "reached" if reached else "no_answer"})
            referral["state"] = "contact" if reached else referral["state"]

    def act_complete(self):
        referral = self.pick("contact", "accepted", "delivered")
        if referral:
            data = {"outcome": self.rng.choice(["handled", "handled", "not_handled", "passed_on"])}
            if self.rng.random() < 0.5:
                data["detail"] = self.rng.choice(["served", "unknown", "no_contact", "need_ceased"])
            if self.rng.random() < 0.3:
                data["results"] = self.rng.sample(RESULTS, self.rng.randint(1, 2))
            self.tell(referral, "completed", data)
            referral["state"] = "ended"

    def act_decline(self):
        referral = self.pick("created", "delivered", "delivered", "accepted", "contact")
        if referral:
            self.tell(referral, "declined", {"reason": "no_capacity"})
            referral["state"] = "ended"

    def act_redirect(self):
        """Handed on, mostly, often back to where it came from."""
        parent = self.pick("delivered", "delivered", "accepted", "created")
        if not parent or parent["to"].startswith("external:"):
            return
        to = self.onward(parent)
        if to == parent["to"]:
            return
        who = self.speaker(parent, parent["to"])
        data = self.created(parent["region"], parent["to"], to, parent["case"], parent)
        group = data["referral"]
        time = self.time_of(who)
        events = [self.event(who, "referral.redirected", {
            "referral": parent["id"], "reason": "wrong_service", "next": group}, time),
            self.event(who, "referral.created", data, time)]
        for event in events:
            event["group"] = group
        self.say(who, *events)
        parent["state"] = "ended"

    def onward(self, parent):
        """Back to the sender, back to who had it before, or to somebody else."""
        luck, before = self.rng.random(), parent.get("parent")
        if luck < 0.4:
            return parent["from"]
        if luck < 0.6 and before is not None:
            return before["from"]
        return self.candidate(parent["region"], parent["to"])

    def act_continue(self):
        """The recipient of one refers the same customer anew."""
        parent = self.pick("ended", "contact", "accepted", "delivered")
        if not parent or parent["to"].startswith("external:"):
            return
        to = self.onward(parent)
        if to == parent["to"]:
            return
        who = self.speaker(parent, parent["to"])
        data = self.created(parent["region"], parent["to"], to, parent["case"], parent)
        self.say(who, self.event(who, "referral.created", data))

    def act_withdraw(self):
        referral = self.pick("created", "delivered", "accepted", "contact")
        if referral:
            by = referral["to"] if self.rng.random() < 0.2 else referral["from"]
            self.tell(referral, "withdrawn", {"withdraw_reason": "solved_elsewhere"}, by)
            if referral["state"] != "contact":
                referral["state"] = "ended"

    def act_hold(self):
        referral = self.pick("delivered", "accepted", "contact")
        if referral:
            self.tell(referral, "held", {"hold_reason": "waiting_customer"})
            referral["held"] = True

    def act_resume(self):
        held = [r for r in self.referrals if r.get("held")]
        if held:
            referral = self.rng.choice(held)
            self.tell(referral, "resumed")
            referral["held"] = self.rng.random() < 0.2

    def act_void(self):
        referral = self.pick("created", "delivered", "accepted", "ended", "contact")
        if referral and self.rng.random() < 0.6:
            who = "op" if self.rng.random() < 0.2 else referral["from"]
            who = who if who == "op" else self.speaker(referral, who)
            self.say(who, self.event(who, "referral.voided", {
                "referral": referral["id"], "void_reason": "mistake"}))
            referral["state"] = "voided"

    def act_answer_received(self):
        referral = self.pick("ended")
        if referral:
            self.tell(referral, "answer_received", who=referral["from"])

    def act_consent(self):
        referral = self.pick("created", "delivered", "contact", "ended")
        if referral and self.rng.random() < 0.3:
            self.tell(referral, "consent_withdrawn")
            referral["state"] = "ended"

    def act_feedback(self):
        referral = self.pick("ended", "contact")
        if referral:
            scale = self.rng.choice([4, 5, 5, 7])
            self.tell(referral, "feedback_given",
                      {"scale": scale, "score": self.rng.randint(1, scale)})

    def act_note(self):
        referral = self.pick("delivered", "contact", "ended")
        if referral:
            self.tell(referral, "noted")

    def act_guided(self):
        guided = [r for r in self.referrals if r["kind"] == "guidance" and r["state"] != "ended"]
        if guided:
            referral = self.rng.choice(guided)
            came = self.rng.random() < 0.6
            self.tell(referral, "came" if came else "did_not_come")
            referral["state"] = "ended" if came else referral["state"]

    def act_wrong(self):
        """Something that is refused: bytes nobody can read, or what the sender may not say."""
        who = self.rng.choice(["kunta", "te", "agency", "campus"])
        if self.rng.random() < 0.5 or not self.referrals:
            self.say(who, {**self.event(who, "referral.noted", {"referral": "nobody"}),
                           "broken": self.rng.random() < 0.5})
        else:
            referral = self.rng.choice(self.referrals)
            self.say(who, self.event(who, "referral.accepted", {"referral": referral["id"]}))

    # beside referrals

    def act_tally(self):
        region = self.rng.choice(["mikkeli", "pieksamaki"])
        sender = self.rng.choice(self.members_of(region))
        month = day_text(self.now)[:self.rng.choice([4, 7, 7, 10])]
        data = {"region": region, "from": sender, "to": self.candidate(region, sender),
                "kind": self.rng.choice(["transfer", "guidance"]), "period": month,
                "count": self.rng.randrange(6)}
        if self.rng.random() < 0.5:
            data["service"] = self.rng.choice(SERVICES)
        if self.rng.random() < 0.3:
            data["segment"] = self.rng.choice(SEGMENTS)
        self.say(sender, self.event(sender, "handover.tallied", data))

    def coordinator(self):
        return self.rng.choice([("kunta", "mikkeli"), ("ely", "pieksamaki"),
                                ("campus", "tampereen-kaupunkiseutu")])

    def act_target(self):
        who, region = self.coordinator()
        data = {"region": region, "target": self.rng.choice(["answer", "contact"]),
                "days": self.rng.randint(1, 15)}
        if self.rng.random() < 0.5:
            data["to"] = self.rng.choice(self.members_of(region))
        if self.rng.random() < 0.3:
            data["service"] = self.rng.choice(SERVICES)
        if self.rng.random() < 0.3:
            data["valid_from"] = day_text(self.now + self.rng.randint(-5, 5) * DAY)
        self.say(who, self.event(who, "target.set", data))

    def act_agreement(self):
        who, region = self.coordinator()
        sender = self.rng.choice(self.members_of(region))
        to = self.candidate(region, sender)
        data = {"region": region, "from": sender, "to": to, "agreed": self.rng.random() < 0.8}
        if self.rng.random() < 0.3:
            data["kind"] = self.rng.choice(["transfer", "guidance"])
        if self.rng.random() < 0.2:
            data["valid_to"] = day_text(self.now + self.rng.randint(-20, 40) * DAY)
        self.say(who, self.event(who, "agreement.set", data))

    def act_directory(self):
        """Somebody closes, leaves, changes the organisation or moves to another area."""
        self.directory = copy.deepcopy(self.directory)
        members = {m["id"]: m for m in self.directory["members"]}
        what = self.rng.choice(["closure", "left", "organisation", "area", "settings"])
        if what == "closure":
            who = members[self.rng.choice(["te", "agency", "kunta"])]
            first = self.now + self.rng.randint(1, 10) * DAY
            who["closures"] = [{"from": day_text(first),
                                "to": day_text(first + self.rng.randint(0, 6) * DAY)}]
        elif what == "left":
            members["gone"]["valid_to"] = day_text(self.now - DAY)
        elif what == "organisation":
            members["te"]["organisation"] = business_id(self.rng.choice([1000001, 1000003]))
        elif what == "area":
            region = self.directory["regions"][1]
            region["area"] = "pirkanmaa" if region["area"] == "etela-savo" else "etela-savo"
        else:
            region = self.rng.choice(self.directory["regions"][:3])
            region["settings"]["answer_days"] = self.rng.randint(1, 12)
        self.steps.append(("directory", self.directory))

    def act_archive(self):
        """The operator imports a piece of a log: hand to hand, no offers."""
        source = "op/import-1"
        if not self.archive:
            self.say("op", self.event("op", "archive.opened", {
                "region": ARCHIVE, "attribute": "org:resource", "options": "none",
                "digest": "11" * 32}, self.now), source=source)
        case = self.number("trace")
        at = self.now - self.rng.randrange(300 * DAY)
        actors = [self.rng.choice(["Resource 1", "Resource 2", "te", "Ä"]) for _ in range(5)]
        actors = [a for i, a in enumerate(actors) if i == 0 or a != actors[i - 1]]
        events, last = [], None
        for i in range(len(actors) - 1):
            at = self.archive_step(events, case, actors, i, at, last)
            last = f"{case}#{i + 1}"
        if last is not None:
            events.append(self.of_archive("completed", at, {"referral": last, "outcome": "handled"}))
            events.append(self.of_archive("answer_received", at, {"referral": last}))
            for event in events:
                self.say("op", event, source=source)
        self.archive.append(case)

    def of_archive(self, name, at, data):
        return {"type": f"kapula.referral.{name}.v1", "time": at, "recorded": at, "data": data}

    def archive_step(self, events, case, actors, i, at, last):
        fresh = f"{case}#{i + 1}"
        data = {"kind": "transfer", "referral": fresh, "from": actors[i], "to": actors[i + 1],
                "region": ARCHIVE, "service": "other", "segment": "unknown", "case": case}
        if last is not None:
            data["parent"] = last
            events.append(self.of_archive("redirected", at, {
                "referral": last, "reason": "other", "next": fresh}))
            events[-1]["group"] = fresh
        events.append(self.of_archive("created", at, data))
        if last is not None:
            events[-1]["group"] = fresh
            events[-2:] = [tuple(events[-2:])]
        events.append(self.of_archive("delivered", at, {"referral": fresh}))
        later = at + self.rng.randrange(20 * DAY)
        events.append(self.of_archive("accepted", later, {"referral": fresh}))
        return later

    # meetings

    def act_forum(self):
        who, region = self.coordinator()
        forum = {"id": self.number("forum"), "region": region, "by": who}
        self.forums.append(forum)
        members = self.members_of(region)
        self.say(who, self.event(who, "forum.set", {
            "forum": forum["id"], "region": region,
            "forum_kind": self.rng.choice(["working_group", "joint_visit", "seminar"]),
            "members": self.rng.sample(members, self.rng.randint(0, len(members)))}))

    def act_meeting(self):
        """Planned, or held without a plan."""
        forum = self.rng.choice(self.forums) if self.forums and self.rng.random() < 0.6 else None
        who, region = (forum["by"], forum["region"]) if forum else self.coordinator()
        meeting = {"id": self.number("m"), "region": region, "by": who}
        data = {"meeting": meeting["id"], "region": region}
        if forum:
            data["forum"] = forum["id"]
        elif self.rng.random() < 0.7:
            data["forum_kind"] = self.rng.choice(["joint_visit", "seminar", "plot"])
        self.meetings.append(meeting)
        if self.rng.random() < 0.25:
            self.hold_meeting(meeting, data)
            return
        data["starts_at"] = self.now + self.rng.randint(-10, 20) * DAY
        if self.rng.random() < 0.5:
            data["members"] = self.rng.sample(self.members_of(region), 2)
        if self.rng.random() < 0.2:
            data["occurrence"] = day_text(self.now + self.rng.randint(-12, 12) * DAY)
        self.say(who, self.event(who, "meeting.planned", data))

    def hold_meeting(self, meeting, data):
        members = self.members_of(meeting["region"])
        data["attendance"] = [self.rng.choice([member, {"member": member, "present": "absent"},
                                               {"member": member, "present": "remote"}])
                              for member in self.rng.sample(members, self.rng.randrange(len(members)))]
        if self.rng.random() < 0.5:
            data["starts_at"] = self.now - self.rng.randrange(9 * DAY)
        self.say(meeting["by"], self.event(meeting["by"], "meeting.held", data))

    def act_meeting_goes_on(self):
        if not self.meetings:
            return
        meeting = self.rng.choice(self.meetings[-6:])
        what = self.rng.choice(["held", "held", "moved", "cancelled", "attended", "attended"])
        data = {"meeting": meeting["id"]}
        if what == "held":
            self.hold_meeting(meeting, data)
        elif what == "attended":
            who = self.rng.choice(self.members_of(meeting["region"]))
            data |= {"member": who, "present": self.rng.choice(["present", "absent", "remote"])}
            self.say(who, self.event(who, "meeting.attended", data))
        else:
            if what == "moved":
                data["starts_at"] = self.now + self.rng.randint(-5, 20) * DAY
            self.say(meeting["by"], self.event(meeting["by"], "meeting." + what, data))

    def act_action(self):
        if not self.meetings:
            return
        meeting = self.rng.choice(self.meetings[-6:])
        if self.actions and self.rng.random() < 0.4:
            action, by = self.rng.choice(self.actions)
            self.say(by, self.event(by, "action.done", {"action": action}))
            return
        action = self.number("action")
        self.actions.append((action, meeting["by"]))
        self.say(meeting["by"], self.event(meeting["by"], "action.agreed", {
            "action": action, "meeting": meeting["id"], "what": "something"}))

    # the follow-up model

    def act_report(self):
        """Advice, new customers, or the customers of a year; of a member's own."""
        region = self.rng.choice(["mikkeli", "pieksamaki"])
        who = self.rng.choice(self.members_of(region))
        name, data = self.rng.choice([
            ("advice.given", {"service": self.rng.choice(SERVICES), "count": self.rng.randint(1, 9),
                              "segment": self.rng.choice(SEGMENTS),
                              "channel": self.rng.choice(["phone", "email", "visit", "web"])}),
            ("customer.new", {"origin": self.rng.choice(["walk_in", "web"]),
                              "count": self.rng.randint(1, 5)}),
            ("customers.reported", {"segment": self.rng.choice(SEGMENTS), "new": 1,
                                    "year": int(day_text(self.now)[:4]) - self.rng.randint(0, 2),
                                    "total": self.rng.randint(1, 50)})])
        if "count" in data and self.rng.random() < 0.5:
            data["period"] = day_text(self.now)[:self.rng.choice([4, 7, 10])]
        self.say(who, self.event(who, name, {"region": region, **data}))

    def act_succession(self):
        """Somebody takes over: members that merge or split, a region, an area."""
        kind, data = self.rng.choice([
            ("member", {"from_ids": ["gone"], "to_ids": ["te"]}),
            ("member", {"from_ids": ["te", "firma"], "to_ids": ["kunta"]}),
            ("member", {"from_ids": ["agency"], "to_ids": ["ely", "campus"],
                        "by_region": {"pieksamaki": "ely", "tampereen-kaupunkiseutu": "campus"}}),
            ("member", {"from_ids": ["b1"], "to_ids": ["b2"]}),
            ("region", {"from_ids": ["pieksamaki"], "to_ids": ["mikkeli"]}),
            ("area", {"from_ids": ["etela-savo"], "to_ids": ["pirkanmaa"]})])
        data["valid_from"] = day_text(self.now + self.rng.randint(-20, 5) * DAY)
        self.say("op", self.event("op", kind + ".succeeded", data, self.now))

    ACTIONS = [("create", 26), ("deliver", 26), ("accept", 16), ("contact", 10), ("complete", 12),
               ("decline", 5), ("redirect", 12), ("continue", 6), ("withdraw", 4), ("hold", 4),
               ("resume", 4), ("void", 4), ("answer_received", 8), ("consent", 1),
               ("feedback", 3), ("note", 2), ("guided", 4), ("wrong", 3), ("tally", 3),
               ("target", 1), ("agreement", 2), ("directory", 1), ("archive", 1), ("succession", 0.6),
               ("forum", 1), ("meeting", 3), ("meeting_goes_on", 5), ("action", 2),
               ("report", 3)]

    def write(self):
        names, weights = zip(*self.ACTIONS)
        self.steps.append(("directory", self.directory))
        waiting = 0
        for _ in range(self.size * 4):
            getattr(self, "act_" + self.rng.choices(names, weights)[0])()
            if self.rng.random() < 0.5:
                self.batch(0.7, 0.5)
                waiting = 0
            waiting += 1
            if self.rng.random() < 0.01:
                self.steps.append(("reopen",))
        self.batch(1, 1)
        return self.steps

    def batch(self, expire, figures):
        self.steps.append(("batch", self.now, self.rng.random() < expire,
                           self.rng.random() < figures))
        self.now += int(self.rng.expovariate(1 / self.pace))
        if self.rng.random() < 0.01:
            self.now += self.rng.randrange(30 * DAY)


class Busy(Author):
    """Many transfers of one region, most of them answered: so many that sketches are needed."""

    REGIONS, KINDS = (97, 1, 1, 1), (97, 2, 1)
    ACTIONS = [("create", 30), ("deliver", 32), ("accept", 28), ("contact", 10), ("complete", 14),
               ("decline", 5), ("redirect", 4), ("withdraw", 2), ("hold", 3), ("resume", 3),
               ("void", 1), ("answer_received", 6)]

    def __init__(self, seed, size):
        super().__init__(seed, size)
        self.pace, self.late = HOUR, 0.05


LARGE = 1000    # from this size on a history is a busy one


def write(seed, size=None):
    return (Busy if size is not None and size >= LARGE else Author)(seed, size).write()


class Golden(Author):
    """The golden example of the definitions, by real events: A, B and C are kunta, te and ely."""

    A, B, C = "kunta", "te", "ely"

    def __init__(self):
        super().__init__(0)
        self.now = local("2026-03-02", 10)

    def do(self, who, name, referral, **data):
        self.say_at(who, (name, {"referral": referral, **data}))

    def say_at(self, who, *events, group=None):
        """Each a minute after the one before."""
        self.now += 60_000
        made = [{"type": f"kapula.referral.{name}.v1", "time": self.now, "data": data,
                 **({"group": group} if group else {})} for name, data in events]
        self.said += 1
        self.steps += [("say", f"{who}/p", made, self.said), ("batch", self.now, False, False)]

    def new(self, referral, case, sender, to, parent=None, **more):
        data = {"kind": "transfer", "referral": referral, "from": sender, "to": to,
                "region": "mikkeli", "service": "financing", "segment": "unknown", "case": case}
        return ("created", {**data, **({"parent": parent} if parent else {}), **more})

    def hand(self, referral, case, sender, to, parent=None, **more):
        self.say_at(sender, self.new(referral, case, sender, to, parent, **more))
        self.do(to, "delivered", referral)

    def redirect(self, who, referral, fresh, case, to):
        self.say_at(who, ("redirected", {"referral": referral, "reason": "no_capacity",
                                         "next": fresh}),
                    self.new(fresh, case, who, to, referral), group=fresh)
        self.do(to, "delivered", fresh)

    def complete(self, who, referral):
        self.do(who, "accepted", referral)
        self.do(who, "completed", referral, outcome="handled")

    def write(self):
        self.steps.append(("directory", self.directory))
        self.hand("1", "case1", self.A, self.B)
        self.complete(self.B, "1")
        self.hand("2a", "case2", self.A, self.B)
        self.redirect(self.B, "2a", "2b", "case2", self.C)
        self.complete(self.C, "2b")
        self.hand("3a", "case3", self.A, self.B)
        self.redirect(self.B, "3a", "3b", "case3", self.A)
        self.redirect(self.A, "3b", "3c", "case3", self.B)
        self.complete(self.B, "3c")
        self.hand("4a", "case4", self.A, self.C, return_expected=True)
        self.complete(self.C, "4a")
        self.hand("4b", "case4", self.C, self.A, "4a")
        self.complete(self.A, "4b")
        self.hand("5", "case5", self.C, self.B)
        self.do(self.B, "declined", "5", reason="no_capacity")
        return self.steps


# --- the player's lines ---

def flat(events):
    """Events of one job; those of a group may stand in a tuple."""
    out = []
    for event in events:
        out.extend(event if isinstance(event, tuple) else [event])
    return out


def lines(steps):
    """Numbers the events of each source and gathers jobs into batches."""
    out, jobs, said, last = [], [], {}, {}
    for step in steps:
        if step[0] == "directory":
            out.append({"directory": step[1]})
        elif step[0] == "say":
            jobs.append(numbered(step, last))
            said[step[3]] = jobs[-1]
        elif step[0] == "again" and step[1] in said:
            jobs.append(said[step[1]])
        elif step[0] == "batch":
            out.append({"at": step[1], "jobs": jobs, "expire": step[2], "figures": step[3]})
            jobs = []
        elif step[0] == "reopen":
            out.append({"reopen": True})
    return out


def last_batch(steps):
    """What is over is said to be over, and the figures stand at the head."""
    at = max([step[1] for step in steps if step[0] == "batch"], default=0)
    return {"at": at, "jobs": [], "expire": True, "figures": True}


def numbered(step, last):
    source, events = step[1], flat(step[2])
    job = []
    for event in events:
        last[source] = last.get(source, 0) + 1
        job.append({**event, "source": source, "sequence": last[source],
                    "id": f"{source}-{last[source]}"})
    return job
