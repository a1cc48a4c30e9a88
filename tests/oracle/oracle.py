# SPDX-License-Identifier: MPL-2.0
"""Every figure once more, from the exported log alone.

This program is the second opinion on the broker's figures: plain Python, no library but the
standard one, written from the definitions and not from the C code. It takes what the log says was
accepted and refused, and trusts nothing else: it has its own calendar, its own view of what became
of a referral, its own trees. It sums by walking through everything, so it is slow and easy to check.

Read in this order: Calendar (working time), Referral (what its events make of it), Case (its tree),
Log (the whole replay), facts (what is counted), Selection (scope and window), METRICS (the answers).

Times are milliseconds since 1970 in UTC. A duration is a pair: working time, elapsed time.
"""

import bisect
import copy
import datetime
import functools
import math
import zoneinfo

HOUR = 3_600_000
DAY = 24 * HOUR
WORKING_DAY = 8 * HOUR
LOOP_LIMIT = 90 * DAY          # a loop closes within 90 days of its creation
UNDELIVERED_LIMIT = 30 * DAY   # a referral that never arrives expires
EXACT_MAX = 1000               # so many durations are answered exactly
HELSINKI = zoneinfo.ZoneInfo("Europe/Helsinki")
UTC = zoneinfo.ZoneInfo("UTC")
ZONES = {"Europe/Helsinki": HELSINKI, "UTC": UTC}

TERMINAL = {"completed", "declined", "redirected", "withdrawn", "voided"}
RESULTS = ("company_founded", "funding_granted", "ownership_changed", "siting_decided",
           "siting_lost", "recruited", "exported")


# --- calendar ---

@functools.lru_cache(maxsize=None)
def day_start(zone, ordinal):
    """First instant of a local day; neither zone changes its clocks at midnight."""
    date = datetime.date.fromordinal(ordinal)
    return int(datetime.datetime(date.year, date.month, date.day, tzinfo=zone).timestamp()) * 1000


def day_of(zone, at):
    """The local day an instant lies in, as its ordinal."""
    return datetime.datetime.fromtimestamp(at // 1000, zone).toordinal()


def ordinal_of(text):
    return datetime.date.fromisoformat(text).toordinal()


@functools.lru_cache(maxsize=None)
def easter(year):
    """Easter Sunday by Oudin's algorithm."""
    century = year // 100
    golden = year % 19
    k = (century - 17) // 25
    i = (century - century // 4 - (century - k) // 3 + 19 * golden + 15) % 30
    i -= (i // 28) * (1 - (i // 28) * (29 // (i + 1)) * ((21 - golden) // 11))
    j = (year + year // 4 + i + 2 - century + century // 4) % 7
    step = i - j
    month = 3 + (step + 40) // 44
    return datetime.date(year, month, step + 28 - 31 * (month // 4)).toordinal()


@functools.lru_cache(maxsize=None)
def off_days(year):
    """1 and 6 January, Good Friday, Easter Monday, 1 May, Ascension, Midsummer Eve, 6, 24, 25 and
    26 December."""
    fixed = [(1, 1), (1, 6), (5, 1), (12, 6), (12, 24), (12, 25), (12, 26)]
    midsummer_eve = next(day for day in range(19, 26)
                         if datetime.date(year, 6, day).weekday() == 4)
    days = {datetime.date(year, month, day).toordinal() for month, day in fixed}
    days |= {easter(year) - 2, easter(year) + 1, easter(year) + 39}
    days.add(datetime.date(year, 6, midsummer_eve).toordinal())
    return frozenset(days)


@functools.lru_cache(maxsize=None)
def is_working_day(ordinal):
    date = datetime.date.fromordinal(ordinal)
    return date.weekday() < 5 and ordinal not in off_days(date.year)


FIRST_DAY = datetime.date(2000, 1, 1).toordinal()
LAST_DAY = datetime.date(2045, 1, 1).toordinal()


@functools.lru_cache(maxsize=None)
def working_days_before():
    """How many working days lie between FIRST_DAY and each day."""
    sums = [0]
    for day in range(FIRST_DAY, LAST_DAY):
        sums.append(sums[-1] + is_working_day(day))
    return sums


class Calendar:
    """Working time: Monday to Friday 08:00 to 16:00 in Helsinki without off days and without the
    days that one member announced as closed."""

    def __init__(self, closures=()):
        self.closed = sorted({day for first, last in closures
                              for day in range(ordinal_of(first), ordinal_of(last) + 1)})
        self.closed_working = [day for day in self.closed if is_working_day(day)]

    def is_working_day(self, day):
        at = bisect.bisect_left(self.closed_working, day)
        return is_working_day(day) and self.closed_working[at:at + 1] != [day]

    def working_until(self, at):
        """Working time from FIRST_DAY on until an instant."""
        day = day_of(HELSINKI, at)
        days = working_days_before()[day - FIRST_DAY] - bisect.bisect_left(self.closed_working, day)
        spent = 0
        if self.is_working_day(day):
            opens, closes = opening(day)
            spent = min(max(at - opens, 0), closes - opens)
        return days * WORKING_DAY + spent

    def working(self, begin, end):
        return self.working_until(end) - self.working_until(begin) if end > begin else 0

    def open_time(self, begin, end):
        """All time but that of closed days."""
        if end <= begin:
            return 0
        time = end - begin
        for day in self.closed:
            time -= max(0, min(end, day_start(HELSINKI, day + 1)) - max(begin, day_start(HELSINKI, day)))
        return time

    def add_working(self, begin, working):
        """The first instant by which so much working time has passed."""
        day = day_of(HELSINKI, begin)
        while working > 0:
            if self.is_working_day(day):
                opens, closes = opening(day)
                opens = max(opens, begin)
                if closes - opens >= working:
                    return opens + working
                working -= max(0, closes - opens)
            day += 1
        return begin


@functools.lru_cache(maxsize=None)
def opening(day):
    """08:00 and 16:00 of a local day; clocks change on Sundays, at night."""
    date = datetime.date.fromordinal(day)
    return tuple(int(datetime.datetime(date.year, date.month, date.day, hour,
                                       tzinfo=HELSINKI).timestamp()) * 1000 for hour in (8, 16))


EVERYBODYS = Calendar()


# --- what became of a referral ---

class Referral:
    """One handover, as its accepted events made it. Times that are not there are None."""

    def __init__(self, event, log):
        data = event["data"]
        self.log = log
        self.id, self.scope = data["referral"], log.scope_of(event)
        self.region, self.sender, self.recipient = data["region"], data["from"], data["to"]
        self.case, self.parent = data["case"], data.get("parent")
        self.kind, self.service = data["kind"], data["service"]
        self.segment, self.origin = data["segment"], data.get("origin")
        self.warm, self.expected = data.get("warm", False), data.get("return_expected", False)
        self.meeting = data.get("meeting")
        self.seq, self.commit = event["seq"], event["at"]
        self.created = min(event["time"], event["at"])
        self.directory, self.clock_of = log.directory, data["to"]
        self.archive = self.scope is not None
        self.external = self.recipient.startswith("external:")
        ends = [log.directory.organisation(member) for member in (self.sender, self.recipient)]
        self.internal = not self.archive and ends[0] == ends[1] != ""
        self.state = "created"
        self.delivered = self.accepted = self.contacted = self.ended = self.answered = None
        self.implied, self.clamped = set(), False
        self.late = self.contact_late = self.backed_out = False
        self.withdraw_requested = self.came = self.did_not_come = False
        self.outcome = self.detail = self.next = None
        self.results, self.feedback = (), None
        self.attempts = self.late_reports = 0
        self.back_too_early = None    # said by the case, but in today's view
        self.holds = []               # [begin, end]; the last may still have no end
        self.limit = self.due = None  # which limit runs, and until when
        self.limit_from = None
        self.to_accept = self.to_contact = self.to_complete = self.to_give_up = None
        self.root_created = log.case_of(self).started()
        if self.parent is None and (self.root_created is None or self.created < self.root_created):
            self.root_created = self.created
        self.last_event = self.created
        self.answer_days = log.target_days(data, event["at"], "answer")
        self.contact_days = log.target_days(data, event["at"], "contact")
        if self.has_limits():
            self.limit, self.due = "delivery", self.commit + UNDELIVERED_LIMIT

    def is_transfer(self):
        """What most figures count: a transfer to a member of another organisation."""
        return (self.kind == "transfer" and self.state != "voided" and not self.internal
                and not self.external)

    def has_limits(self):
        return self.kind == "transfer" and not self.external and not self.archive

    def is_ended(self):
        return self.state in TERMINAL

    def area(self):
        """Of its region when it was created; archives and bench regions lie in none."""
        return "" if self.archive else self.directory.area(self.region)

    def organisation(self, member):
        return "" if self.archive else self.directory.organisation(member)

    # clocks

    def calendar(self):
        return self.log.directory.calendar(None if self.archive else self.clock_of)

    def on_hold(self):
        return bool(self.holds) and self.holds[-1][1] is None

    def recipients_time(self, begin, end):
        """The recipient's clock between two instants: holds and closures cut out; 0 backwards."""
        if end <= begin:
            return (0, 0)
        calendar = self.calendar()
        working, elapsed = calendar.working(begin, end), calendar.open_time(begin, end)
        for first, last in merged(self.holds, end):
            first, last = max(first, begin), min(last, end)
            working -= calendar.working(first, last)
            elapsed -= calendar.open_time(first, last)
        return (working, elapsed)

    def clocked(self, begin, end):
        self.clamped |= end < begin
        return self.recipients_time(begin, end)

    # limits

    def start_limit(self, limit, at):
        if self.has_limits():
            self.limit, self.limit_from = limit, at
            self.set_due()

    def set_due(self):
        """When the running limit is over: its working days since it started, holds cut out."""
        days = self.contact_days if self.limit == "contact" else self.answer_days
        left, at, calendar = days * WORKING_DAY, self.limit_from, self.calendar()
        for first, last in merged([hold for hold in self.holds if hold[1] is not None], None):
            before = calendar.working(at, first)
            if before >= left:
                break
            left, at = left - before, max(at, last)
        self.due = calendar.add_working(at, left)

    def judge_lateness(self, time):
        if self.limit is None or time <= self.due:
            return
        if self.on_hold() and self.due >= self.holds[-1][0]:
            return
        if self.limit == "contact":
            self.contact_late = True
        else:
            self.late = True

    # milestones

    def reach_delivered(self, time, implied=False):
        self.delivered = time
        if implied:
            self.implied.add("delivered")

    def reach_accepted(self, time, implied=False):
        self.accepted = time
        if implied:
            self.implied.add("accepted")
            return
        if "delivered" not in self.implied:
            self.to_accept = self.clocked(self.delivered, time)
        if self.root_created is not None and time < self.root_created:
            self.clamped = True

    def reach_contact(self, time, implied=False):
        self.contacted = time
        if implied:
            self.implied.add("contact")
        elif "delivered" not in self.implied:
            self.to_contact = self.clocked(self.delivered, time)

    def imply(self, time, *milestones):
        for milestone in milestones:
            if milestone == "delivered" and self.delivered is None:
                self.reach_delivered(time, True)
            if milestone == "accepted" and self.accepted is None:
                self.reach_accepted(time, True)
            if milestone == "contact" and self.contacted is None:
                self.reach_contact(time, True)

    def end(self, state, time):
        self.state, self.ended, self.limit = state, time, None
        if self.on_hold():
            self.holds[-1][1] = time

    def give_up(self, state, time):
        """Ended by somebody who never accepted: the waiting stops, censored."""
        self.end(state, time)
        if self.accepted is None and self.delivered is not None and "delivered" not in self.implied:
            self.to_give_up = self.clocked(self.delivered, time)

    # events

    def apply(self, event):
        """One accepted event. A time after the commit counts as the commit."""
        name = event["type"].split(".")[2]
        time = min(event["time"], event["at"])
        recorded = min(event.get("recorded") or event["time"], event["at"])
        if not self.archive and recorded - time > DAY:
            self.late_reports += 1
        data = event["data"]
        if name != "expired":    # the broker's timer is no news
            self.last_event = max(self.last_event, time)
        getattr(self, "on_" + name)(event, time, data)
        if name in ("accepted", "completed") and "segment" in data:
            self.segment = data["segment"]

    def on_created(self, event, time, data):
        pass

    def on_delivered(self, event, time, data):
        self.reach_delivered(time)
        self.state = "delivered"
        self.start_limit("answer", event["at"])

    def on_accepted(self, event, time, data):
        self.judge_lateness(time)
        self.imply(time, "delivered")
        self.reach_accepted(time)
        self.state = "accepted"
        self.start_limit("contact", event["at"])

    def turn_away(self, state, time):
        self.judge_lateness(time)
        self.imply(time, "delivered")
        self.backed_out = self.accepted is not None
        self.give_up(state, time)

    def on_declined(self, event, time, data):
        self.turn_away("declined", time)

    def on_redirected(self, event, time, data):
        self.next = data["next"]
        self.turn_away("redirected", time)

    def on_contacted(self, event, time, data):
        self.attempts += 1
        if data["result"] != "reached":
            return
        self.judge_lateness(time)
        self.imply(time, "delivered", "accepted")
        if self.contacted is None:
            self.reach_contact(time)
        self.state, self.limit = "in_contact", None

    def on_came(self, event, time, data):
        self.imply(time, "delivered")
        self.came = True
        self.end("completed", time)

    def on_did_not_come(self, event, time, data):
        self.did_not_come = True

    def on_completed(self, event, time, data):
        self.judge_lateness(time)
        self.outcome, self.detail = data["outcome"], data.get("detail")
        self.results = tuple(data.get("results", ()))
        self.imply(time, "delivered", "accepted")
        if self.detail != "no_contact":
            self.imply(time, "contact")
        self.end("completed", time)
        if "accepted" not in self.implied:
            self.to_complete = self.clocked(self.accepted, time)

    def on_withdrawn(self, event, time, data):
        confirms = self.withdraw_requested and self.log.is_recipient(event, self)
        if self.state == "in_contact" and not confirms:
            self.withdraw_requested = True
        else:
            self.give_up("withdrawn", time)

    def on_held(self, event, time, data):
        if not self.on_hold():
            self.holds.append([time if self.delivered is None else max(time, self.delivered), None])

    def on_resumed(self, event, time, data):
        if self.on_hold():
            self.holds[-1][1] = max(time, self.holds[-1][0])
            if self.limit is not None:
                self.set_due()

    def on_noted(self, event, time, data):
        pass

    def on_shared(self, event, time, data):
        pass

    def on_answer_received(self, event, time, data):
        self.answered = time

    def on_expired(self, event, time, data):
        self.log.check(self.due == data["deadline_at"], f"{self.id} expires at {data['deadline_at']}, "
                       f"its limit is {self.due}")
        self.state = "expired"

    def on_consent_withdrawn(self, event, time, data):
        if not self.is_ended():
            self.give_up("withdrawn", time)

    def on_feedback_given(self, event, time, data):
        self.feedback = (data["scale"], data["score"])

    def on_voided(self, event, time, data):
        self.end("voided", time)


def merged(intervals, open_end):
    """Intervals in order, those that overlap made one; without an end they last until `open_end`."""
    out = []
    for begin, end in sorted((begin, open_end if end is None else end) for begin, end in intervals):
        if out and begin <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([begin, end])
    return out


# --- the tree of a case ---

class Case:
    """All referrals of one customer's matter. A voided one is cut out: its children hang on its
    parent."""

    def __init__(self):
        self.by_id = {}    # in the order of the log

    def unvoided(self):
        return [r for r in self.by_id.values() if r.state != "voided"]

    def parent(self, referral):
        parent = self.by_id.get(referral.parent)
        while parent is not None and parent.state == "voided":
            parent = self.by_id.get(parent.parent)
        return parent

    def ancestors(self, referral):
        parent = self.parent(referral)
        while parent is not None:
            yield parent
            parent = self.parent(parent)

    def started(self):
        """Created of the earliest unvoided root."""
        return min((r.created for r in self.unvoided() if self.parent(r) is None), default=None)

    def chain(self):
        """Referrals on the longest path."""
        return max((1 + sum(1 for _ in self.ancestors(r)) for r in self.unvoided()), default=0)

    def first_accept(self):
        """The referral that was accepted first, in words or by doing; by time, then by order."""
        accepted = [r for r in self.unvoided() if r.accepted is not None]
        return min(accepted, key=lambda r: r.accepted, default=None)

    def is_return(self, r):
        """Delivered back to where its delivered parent came from."""
        parent = self.parent(r)
        return (parent is not None and r.state != "voided" and r.delivered is not None
                and parent.delivered is not None and r.recipient == parent.sender)

    def is_back_too_early(self, r):
        """Delivered before it was handed out: the time until it was back counts as 0."""
        if r.back_too_early is not None:
            return r.back_too_early
        return self.is_return(r) and r.delivered < self.parent(r).created

    def is_ping_pong(self, r):
        return self.is_return(r) and not self.parent(r).expected

    def is_loop(self, r):
        """Delivered back to who had the customer more than one step before."""
        before = [p.sender for p in self.ancestors(r)]
        return r.delivered is not None and r.recipient in before and before[0] != r.recipient

    def transfers(self):
        return [r for r in self.by_id.values() if r.is_transfer()]


# --- meetings ---

class Meeting:
    """One meeting, as its accepted events made it. Attendance is stated by the minutes, confirmed
    or denied by the member itself."""

    def __init__(self, event, log):
        data = event["data"]
        self.id, self.region = data["meeting"], data["region"]
        self.forum, self.kind = data.get("forum"), data.get("forum_kind")
        self.planned = self.first_planned = self.held = self.occurrence = None
        self.cancelled, self.moves = False, 0
        self.invited, self.stated, self.confirmed, self.denied = set(), set(), set(), set()
        self.log = log

    def apply(self, event):
        data, time = event["data"], min(event["time"], event["at"])
        name = event["type"].split(".")[2]
        if name == "planned":
            self.planned = self.first_planned = data["starts_at"]
            self.invited |= set(data.get("members", ()))
        elif name == "moved":
            self.planned, self.moves = data["starts_at"], self.moves + 1
        elif name == "cancelled":
            self.cancelled = True
        elif name == "held":
            self.hold(data, time, event["at"])
        elif name == "attended":
            of, other = (self.denied, self.confirmed) if data["present"] == "absent" else \
                (self.confirmed, self.denied)
            of.add(data["member"])
            other.discard(data["member"])
        self.occurrence = data.get("occurrence", self.occurrence)

    def hold(self, data, time, commit):
        """When the minutes say, else as planned, if that is not still to come."""
        planned = self.planned is not None and self.planned <= commit
        self.held = data.get("starts_at", self.planned if planned else time)
        for row in data.get("attendance", ()):
            row = row if isinstance(row, dict) else {"member": row}
            if row.get("present", "present") != "absent":
                self.stated.add(row["member"])
        self.invited |= set(self.log.forums.get(self.forum, {}).get("members", ()))

    def at(self):
        """The day it counts on: when it was held, else as its plan stands."""
        return self.planned if self.held is None else self.held

    def there(self):
        return (self.stated | self.confirmed) - self.denied

    def is_open(self):
        return self.held is None and not self.cancelled

    def forum_kind(self):
        return self.kind or self.log.forums.get(self.forum, {}).get("forum_kind")

    def adheres(self):
        """Held within seven days of the occurrence it names, else of the plan as first made."""
        if self.held is None or self.occurrence is None and self.first_planned is None:
            return False
        plan = ordinal_of(self.occurrence) if self.occurrence else \
            day_of(HELSINKI, self.first_planned)
        return abs(day_of(HELSINKI, self.held) - plan) <= 7


# --- the directory ---

class Directory:
    def __init__(self, text):
        self.members = {member["id"]: member for member in text["members"]}
        self.regions = {region["id"]: region for region in text["regions"]}
        self.calendars = {}

    def organisation(self, member):
        return self.members.get(member, {}).get("organisation", "")

    def area(self, region):
        return self.regions.get(region, {}).get("area", "")

    def setting(self, region, name, otherwise):
        return self.regions.get(region, {}).get("settings", {}).get(name, otherwise)

    def calendar(self, member):
        if member not in self.calendars:
            closures = self.members.get(member, {}).get("closures", [])
            self.calendars[member] = Calendar([(c["from"], c["to"]) for c in closures])
        return self.calendars[member]

    def valid_to(self, member):
        last = self.members[member].get("valid_to")
        return None if last is None else day_start(HELSINKI, ordinal_of(last) + 1)

    def is_valid(self, member, at):
        if member not in self.members:
            return False
        first, end = self.members[member].get("valid_from"), self.valid_to(member)
        return (first is None or at >= day_start(HELSINKI, ordinal_of(first))) and \
            (end is None or at < end)

    def acts_in(self, member, region):
        return region in self.members.get(member, {}).get("regions", [])


# --- the replay ---

TALLY_KEY = ("region", "from", "to", "kind", "service", "segment", "period")
AGREEMENT_KEY = ("region", "from", "to", "kind")
TARGET_KEY = ("region", "target", "from", "to", "service", "forum", "year")
# From the most particular target to the most general.
TARGET_ORDER = (("from", "to", "service"), ("from", "to"), ("to", "service"), ("to",), ("service",), ())


class Log:
    """The log up to a position, applied."""

    def __init__(self, events, directories):
        self.directories = [(row["from"], Directory(row["directory"])) for row in directories]
        self.directory = None
        self.referrals, self.cases = {}, {}
        self.tallies, self.targets, self.agreements = {}, {}, {}
        self.archives = {}   # source -> name
        self.refused = []    # (member, time)
        self.forums, self.meetings, self.actions = {}, {}, {}
        self.others = []     # accepted events of meetings and the follow-up model
        self.spoken = {}     # member -> when it published something
        self.wrong = []      # what the log itself contradicts
        self.seq = self.time = 0
        for event in events:
            self.enter(event)
        for _, directory in self.directories:    # in force since, though nothing was said yet
            self.directory = directory

    def check(self, holds, what):
        if not holds:
            self.wrong.append(what)

    def enter(self, event):
        self.seq, self.time = event["seq"], event["at"]
        while self.directories and self.directories[0][0] <= self.seq:
            self.directory = self.directories.pop(0)[1]
        member = event["source"].split("/")[0]
        self.spoken.setdefault(member, []).append(event["at"])
        if event["verdict"] == "refused":
            self.refused.append((member, event["at"]))
            return
        if event["verdict"] != "accepted":
            return
        family, name = event["type"].split(".")[1:3]
        if family == "referral":
            self.enter_referral(event, name)
        elif family == "handover":
            self.enter_tally(event)
        elif event["type"] == "kapula.archive.opened.v1":
            self.archives[event["source"]] = event["data"]["region"]
        elif event["type"] == "kapula.target.set.v1":
            self.targets[tuple(event["data"].get(f) for f in TARGET_KEY)] = event["data"]
        elif event["type"] == "kapula.agreement.set.v1":
            self.agreements[tuple(event["data"].get(f) for f in AGREEMENT_KEY)] = event["data"]
        elif family in ("forum", "meeting", "action"):
            self.enter_meeting(event, family, name)
        else:
            self.others.append(event)

    def scope_of(self, event):
        """The archive whose ids an event speaks of; None: the mesh."""
        return self.archives.get(event["source"])

    def case_of(self, referral):
        return self.cases.setdefault((referral.scope, referral.case), Case())

    def enter_referral(self, event, name):
        key = (self.scope_of(event), event["data"]["referral"])
        if name == "created":
            referral = self.referrals[key] = Referral(event, self)
            self.case_of(referral).by_id[referral.id] = referral
        self.referrals[key].apply(event)

    def enter_tally(self, event):
        data = event["data"]
        key = tuple(data.get(field) for field in TALLY_KEY)
        self.tallies[key] = {**data, "at": period_start(data["period"]),
                             "directory": self.directory, "seq": event["seq"]}

    def enter_meeting(self, event, family, name):
        data = event["data"]
        if family == "forum":
            self.forums[data["forum"]] = data
        elif family == "action":
            row = self.actions.setdefault(data["action"], {"done": False, **data})
            row["done"] |= name == "done"
        else:
            if data["meeting"] not in self.meetings:
                self.meetings[data["meeting"]] = Meeting(event, self)
            self.meetings[data["meeting"]].apply(event)

    def is_recipient(self, event, referral):
        """Is it the recipient who says it, or one who speaks for everybody there?"""
        member = event["source"].split("/")[0]
        roles = self.directory.members.get(member, {}).get("roles", [])
        return member == referral.recipient or referral.archive or \
            "speaker:" + referral.region in roles

    def target_days(self, data, now, target):
        """The target in force: the most particular that was set, else the region's."""
        for fields in TARGET_ORDER:
            key = tuple({"region": data["region"], "target": target}.get(f) or
                        (data.get(f) if f in fields else None) for f in TARGET_KEY)
            row = self.targets.get(key)
            if row is not None and holds_at(row, now) and row.get("days", 0) > 0:
                return row["days"]
        return self.directory.setting(data["region"], target + "_days", 10)


def period_start(period):
    """Of a year, a month or a day."""
    return day_start(HELSINKI, ordinal_of((period + "-01-01")[:10]))


def holds_at(row, now):
    """Is what was set valid, by its days?"""
    day = day_of(HELSINKI, now)
    return ("valid_from" not in row or ordinal_of(row["valid_from"]) <= day) and \
        ("valid_to" not in row or day <= ordinal_of(row["valid_to"]))


# --- facts: what one referral counts, what one case counts ---

class Fact:
    """Counts of one referral or tally, where it stands and when it counts."""

    def __init__(self, region, sender, recipient, area, at, utc):
        self.region, self.sender, self.recipient = region, sender, recipient
        self.area, self.at, self.utc = area, at, utc
        self.counts, self.times, self.flows = {}, {}, {}
        self.service = self.segment = self.origin = None
        self.warm = False
        self.referral = None


def facts_of(cases, tallies):
    """Facts of every referral and tally."""
    facts = []
    for case in cases:
        first = case.first_accept()
        for referral in case.unvoided():
            facts.append(fact_of(referral, case, first))
    for tally in tallies:
        if tally["count"] > 0:    # a count of 0 takes an earlier one back
            facts.append(fact_of_tally(tally))
    return facts


def fact_of_tally(tally):
    area = tally.get("area", tally["directory"].area(tally["region"]))
    fact = Fact(tally["region"], tally["from"], tally["to"], area, tally["at"], False)
    fact.service, fact.segment = tally.get("service"), tally.get("segment")
    fact.counts = {"internal" if tally.get("inside") else "reported": tally["count"]}
    return fact


def fact_of(r, case, first):
    fact = Fact(r.region, r.sender, r.recipient, r.area(), r.created, r.archive)
    fact.referral = r
    fact.service, fact.segment, fact.origin, fact.warm = r.service, r.segment, r.origin, r.warm
    count_shape(fact, r, case)
    if r.feedback is not None and r.feedback[0] in (4, 5):
        fact.counts[f"feedback_{r.feedback[0]}"] = 1
        fact.counts[f"feedback_{r.feedback[0]}_sum"] = r.feedback[1]
    if r.internal:
        fact.counts["internal"] = 1
    elif r.external:
        fact.counts["reported"] = 1
    elif r.kind == "guidance":
        fact.counts["guidance"] = 1
        fact.counts["came"], fact.counts["did_not_come"] = int(r.came), int(r.did_not_come)
    elif r.kind == "lead":
        fact.counts["leads"] = 1
    else:
        count_transfer(fact, r)
        time_transfer(fact, r, case, first)
    return fact


def count_shape(fact, r, case):
    """Returns are counted at the referral that came back, whatever its kind."""
    if case.is_return(r):
        begin, end = case.parent(r).created, r.delivered
        fact.counts["returns"] = 1
        fact.counts["ping_pongs"] = int(case.is_ping_pong(r))
        fact.times["got_back"] = customers_time(begin, end)
    fact.counts["clamped"] = int(case.is_back_too_early(r))
    fact.counts["loops"] = int(case.is_loop(r))


def customers_time(begin, end):
    """The customer's clock knows neither holds nor closures."""
    return (EVERYBODYS.working(begin, end), end - begin) if end > begin else (0, 0)


def is_closable(r):
    return r.state not in ("withdrawn", "redirected")


def is_loop_closed(r):
    return (is_closable(r) and r.is_ended() and r.answered is not None
            and r.answered - r.created <= LOOP_LIMIT)


def count_transfer(fact, r):
    accepted, ended = r.accepted is not None, r.is_ended()
    overdue = r.state == "expired" and r.delivered is not None and not accepted
    answered = accepted or r.state in ("declined", "redirected", "completed")
    missed = r.delivered is not None and (answered and r.late or overdue)
    contact_missed = accepted and (r.contact_late or r.state == "expired")
    counts = {
        "referrals": True, "accepted": accepted, "pending": not accepted and not ended,
        "declined": r.state == "declined", "redirected": r.state == "redirected",
        "completed": r.state == "completed", "withdrawn": r.state == "withdrawn",
        "expired": r.state == "expired",
        "undelivered": r.delivered is None and not ended,
        "delivered": r.delivered is not None,
        "backed_out": r.backed_out, "late": r.late, "implied": "accepted" in r.implied,
        "turned_down": r.state in ("declined", "redirected") and not accepted,
        "overdue": overdue, "withdrawn_early": r.state == "withdrawn" and not accepted,
        "expected_back": r.expected,
        "contacted": r.contacted is not None and "contact" not in r.implied,
        "attempts": r.attempts, "reported_late": r.late_reports,
        "closable": is_closable(r), "loop_closed": is_loop_closed(r),
        "unknown_outcome": r.state == "completed" and (r.outcome is None or r.detail == "unknown"),
        "target_missed": missed,
        "target_met": r.delivered is not None and answered and not r.late,
        "contact_missed": contact_missed,
        "contact_met": accepted and not contact_missed and
        (r.contacted is not None or r.state == "completed"),
        "in_meeting": r.meeting is not None,
        "clamped": r.clamped,
    }
    for outcome in ("handled", "not_handled", "passed_on"):
        counts[outcome] = r.state == "completed" and r.outcome == outcome
    for result in RESULTS:
        counts[result] = r.state == "completed" and result in r.results
    counts["clamped"] |= bool(fact.counts.get("clamped"))
    fact.counts.update({name: int(count) for name, count in counts.items()})
    count_flows(fact, r)


def count_flows(fact, r):
    """Said, not implied, and when."""
    if r.delivered is not None and "delivered" not in r.implied:
        fact.flows["flow_delivered"] = r.delivered
    if r.accepted is not None and "accepted" not in r.implied:
        fact.flows["flow_accepted"] = r.accepted
    if r.contacted is not None and "contact" not in r.implied:
        fact.flows["flow_contacted"] = r.contacted
    ends = {"completed": "flow_completed", "declined": "flow_turned_away",
            "redirected": "flow_turned_away", "withdrawn": "flow_withdrawn"}
    if r.state in ends:
        fact.flows[ends[r.state]] = r.ended


def time_transfer(fact, r, case, first):
    times = {"accept": r.to_accept, "contact": r.to_contact, "complete": r.to_complete,
             "given_up": r.to_give_up}
    if first is r and "accepted" not in r.implied:
        times["accept_customer"] = customers_time(case.started(), r.accepted)
    fact.times.update({name: time for name, time in times.items() if time is not None})


class CaseFact:
    """What one case counts, and whom it touches."""

    def __init__(self, case):
        members = case.unvoided()
        self.at, self.utc = case.started(), members[0].archive
        self.chain = case.chain()
        self.parts = {}    # (region, member) -> (area, organisation), as of its first referral there
        for r in members:
            for member in (r.sender, r.recipient):
                if not member.startswith("external:"):
                    self.parts.setdefault((r.region, member), (r.area(), r.organisation(member)))
        self.counts, self.complete = self.count(case, members), None
        if self.counts["cases_closed"]:
            self.complete = customers_time(self.at, max(r.ended for r in case.transfers()))

    @staticmethod
    def count(case, members):
        transfers = case.transfers()
        closed = bool(transfers) and all(r.is_ended() for r in transfers)
        closable = [r for r in transfers if is_closable(r)]
        last = max(transfers, key=lambda r: (r.ended, r.seq)) if closed else None
        return {
            "cases": 1,
            "cases_delivered": int(any(r.delivered is not None for r in members)),
            "cases_ping_pong": int(any(case.is_ping_pong(r) for r in members)),
            "cases_closed": int(closed),
            "cases_served": int(closed and last.state == "completed" and last.outcome == "handled"),
            "cases_closable": int(bool(closable)),
            "cases_loop_closed": int(bool(closable) and all(map(is_loop_closed, closable))),
        }


# --- organisations as they are today ---

class Today:
    """Who stands in whose place at an instant: successions of members, regions and areas."""

    def __init__(self, log, now):
        self.log, self.heirs = log, {}
        for event in log.others:
            name, data = event["type"].split(".")[1:3], event["data"]
            if name[1] == "succeeded" and day_start(HELSINKI, ordinal_of(data["valid_from"])) <= now:
                for one in data["from_ids"]:
                    self.heirs[name[0], one] = data.get("by_region") or {"": data["to_ids"][0]}

    def heir(self, kind, name, region):
        """Who follows in a region: by the region as it was, or as those that followed it."""
        heirs = self.heirs.get((kind, name), {})
        while region is not None:
            heir = heirs.get("", heirs.get(region))
            if heir is not None:
                return heir
            region = self.heirs.get(("region", region), {}).get("")
        return None

    def follow(self, kind, name, region=""):
        while (heir := self.heir(kind, name, region)) is not None:
            name = heir
        return name

    def region(self, region):
        return self.follow("region", region)

    def member(self, region, member):
        return self.follow("member", member, region)

    def area(self, region):
        """Of a region of today."""
        area = self.log.directory.area(region)
        return self.follow("area", area, region) if area else ""

    def case(self, case):
        moved = Case()
        moved.by_id = {name: self.referral(r) for name, r in case.by_id.items()}
        for name, r in case.by_id.items():    # how well it was told is a matter of then
            fell_together = moved.by_id[name].sender == moved.by_id[name].recipient
            moved.by_id[name].back_too_early = not fell_together and case.is_back_too_early(r)
        return moved

    def referral(self, r):
        """The same handover between those of today; inside, where its ends fell together."""
        if r.archive:
            return r
        moved = copy.copy(r)
        moved.region = self.region(r.region)
        moved.sender, moved.recipient = (self.member(r.region, end) for end in (r.sender, r.recipient))
        moved.internal = r.internal or moved.sender == moved.recipient
        moved.area = lambda: self.area(moved.region)
        moved.organisation = lambda member: (self.log.directory.organisation(member)
                                             or r.organisation(member))
        return moved

    def tally(self, row):
        ends = {end: self.member(row["region"], row[end]) for end in ("from", "to")}
        region = self.region(row["region"])
        return {**row, **ends, "region": region, "area": self.area(region),
                "inside": ends["from"] == ends["to"]}


# --- what is asked: scope, window, side ---

SIDES = {"acceptance": "gets", "time-to-accept": "gets", "time-to-contact": "gets",
         "time-to-complete": "gets", "targets": "gets", "orphans": "gets", "data-quality": "gets",
         "matrix": "sends", "loop-closed": "sends", "reciprocity": "sends",
         "silent-edges": "sends", "concentration": "sends",
         "served": "cases", "ping-pong": "cases", "working-together": "cases",
         "chain-length": "cases", "meetings": "cases", "follow-up": "cases"}
BREAKDOWNS = ("service", "segment", "warm", "origin")
FLOWS = ("delivered", "accepted", "contacted", "completed", "turned_away", "withdrawn")


class Question:
    """A question as it is sent: {metric, region | area | nation | organisation, member?, edge?,
    from?, to? | month? | year?, zone?, kind?, by?, where?, clock?, time?}."""

    def __init__(self, asked, figures):
        self.asked, self.figures = asked, figures
        self.metric = asked["metric"]
        self.side = SIDES[self.metric]
        self.utc = asked.get("region") in figures.log.archives.values()
        self.zone = ZONES[asked.get("zone", "UTC" if self.utc else "Europe/Helsinki")]
        self.begin, self.end = self.window()
        self.where = dict(asked.get("where", {}))
        self.elapsed = asked.get("time", "elapsed" if self.utc else "working") == "elapsed"
        self.kind = asked.get("kind", "now" if self.metric == "orphans" else "cohort")

    def window(self):
        """[begin, end), None where it is open."""
        asked = self.asked
        if "year" in asked:
            days = [f"{int(asked['year']) + k}-01-01" for k in (0, 1)]
        elif "month" in asked:
            year, month = map(int, asked["month"].split("-"))
            days = [f"{y}-{m:02d}-01" for y, m in ((year, month), (year + month // 12, month % 12 + 1))]
        else:
            days = [asked.get("from"), asked.get("to")]
        return tuple(None if day is None else day_start(self.zone, ordinal_of(day)) for day in days)

    def is_in_window(self, at):
        return (self.begin is None or at >= self.begin) and (self.end is None or at < self.end)

    def narrowed(self, **more):
        return Question({**self.asked, **more}, self.figures)

    # referrals

    def sides(self, fact):
        return fact.sender if self.side == "sends" else fact.recipient

    def is_of(self, fact, today=False):
        """Does a referral belong to the scope? It counts in the area its region lay in when it was
        created; lists and what is open now go by where the region lies today."""
        asked = self.asked
        area = self.figures.area_today(fact.region) if today else fact.area
        if "region" in asked and fact.region != asked["region"]:
            return False
        if "edge" in asked and [fact.sender, fact.recipient] != list(asked["edge"]):
            return False
        if "member" in asked and self.sides(fact) != asked["member"]:
            return False
        if "region" in asked:
            return True
        if "area" in asked:
            return area == asked["area"] != ""
        if asked.get("nation"):
            return area != ""
        if "organisation" in asked:
            return not fact.utc and \
                self.figures.log.directory.organisation(self.sides(fact)) == asked["organisation"]
        return not fact.utc

    def fits(self, fact):
        return all(value_of(fact, name) == value for name, value in self.where.items())

    @functools.cached_property
    def scope(self):
        """All referrals of the scope, whenever they were created."""
        return [f for f in self.figures.facts if self.is_of(f) and self.fits(f)]

    @functools.cached_property
    def cohort(self):
        return [f for f in self.scope if self.is_in_window(f.at)]

    @functools.cached_property
    def open(self):
        """Transfers of the cohort that have not ended; archives have none to look after."""
        return [f.referral for f in self.figures.facts
                if f.referral is not None and not f.utc and f.referral.is_transfer()
                and not f.referral.is_ended() and self.is_in_window(f.at)
                and self.is_of(f, today=True) and self.fits(f)]

    def sum(self, *names):
        return sum(f.counts.get(name, 0) for f in self.cohort for name in names)

    def flow(self, name):
        """What happened in the window, whenever the referral was created."""
        return sum(name in f.flows and self.is_in_window(f.flows[name]) for f in self.scope)

    def entered(self):
        """Transfers created before the window's end."""
        return sum(bool(f.counts.get("referrals")) and self.is_before_end(f.at) for f in self.scope)

    def stock(self):
        """Entered minus left by the window's end."""
        left = sum(any(name in f.flows and self.is_before_end(f.flows[name]) for name in
                       ("flow_completed", "flow_turned_away", "flow_withdrawn")) for f in self.scope)
        return max(self.entered() - left, 0)

    def is_before_end(self, at):
        return self.end is None or at < self.end

    def is_own_sender(self, member):
        asked = self.asked
        if "member" in asked:
            return member == asked["member"]
        return "organisation" not in asked or \
            self.figures.log.directory.organisation(member) == asked["organisation"]

    # cases

    def is_case_of(self, case):
        """Does a case touch the scope, with any of its referrals?"""
        asked, parts = self.asked, case.parts
        if "edge" in asked and "region" in asked:
            return all((asked["region"], member) in parts for member in asked["edge"])
        if "edge" in asked:
            there = {member for _, member in parts}
            return not case.utc and set(asked["edge"]) <= there
        if "member" in asked and "region" in asked:
            return (asked["region"], asked["member"]) in parts
        if "member" in asked:
            return not case.utc and any(member == asked["member"] for _, member in parts)
        if "region" in asked:
            return any(region == asked["region"] for region, _ in parts)
        if "area" in asked:
            return any(area == asked["area"] != "" for area, _ in parts.values())
        if "organisation" in asked:
            return any(organisation == asked["organisation"] for _, organisation in parts.values())
        return any(area for area, _ in parts.values())

    @functools.cached_property
    def cases(self):
        """Cases of the scope that began in the window. They are broken down by nothing."""
        if self.where:
            return []
        return [c for c in self.figures.cases if self.is_case_of(c) and self.is_in_window(c.at)]

    def sum_cases(self, name):
        return sum(case.counts[name] for case in self.cases)

    @functools.cached_property
    def handed(self):
        """The matrix: (sender, recipient) -> transfers, those expected back. Of a member or an
        organisation: what is handed to it or by it."""
        edges = {}
        for fact in self.figures.facts:
            ends = [self.narrowed_to(fact, member) for member in (fact.sender, fact.recipient)]
            if any(ends) and self.is_in_window(fact.at) and fact.counts.get("referrals"):
                row = edges.setdefault((fact.sender, fact.recipient), [0, 0])
                row[0] += 1
                row[1] += fact.counts["expected_back"]
        return edges

    # the follow-up model

    def reports(self, name):
        """Events of the region that are about the window: by their period's start, or their time."""
        for event in self.figures.log.others:
            data, at = event["data"], min(event["time"], event["at"])
            if event["type"] != f"kapula.{name}.v1" or data["region"] != self.asked["region"]:
                continue
            if "period" in data:
                at = period_start(data["period"])
            if self.is_in_window(at):
                yield event

    # who answers for what

    def may_own(self, fact):
        """Does the scope hold the referral, seen from either end?"""
        return any(self.narrowed_to(fact, end) for end in (fact.sender, fact.recipient))

    def is_own(self, member):
        """Of a member or an organisation only what it answers for itself."""
        asked = self.asked
        if "member" in asked:
            return member == asked["member"]
        return "organisation" not in asked or \
            self.figures.log.directory.organisation(member) == asked["organisation"]

    def has_region(self, region):
        directory = self.figures.log.directory
        if region not in directory.regions:
            return False
        if "region" in self.asked:
            return region == self.asked["region"]
        if "area" in self.asked:
            return directory.area(region) == self.asked["area"]
        return not self.asked.get("nation") or directory.area(region) != ""

    def used_edges(self):
        used = {}
        for fact in self.figures.facts:
            if fact.counts.get("referrals") and self.is_in_window(fact.at) and self.may_own(fact):
                edge = (fact.sender, fact.recipient, fact.region)
                used[edge] = used.get(edge, 0) + 1
        return used

    def agreed_edges(self):
        """Pairs agreed for transfers in the window; none of them has a transfer of its own."""
        return {(row["from"], row["to"], row["region"]): 0
                for row in self.figures.log.agreements.values()
                if row["agreed"] and row.get("kind", "transfer") == "transfer"
                and self.has_region(row["region"]) and self.overlaps(row)
                and (self.is_own(row["from"]) or self.is_own(row["to"]))
                and self.asked.get("edge", [row["from"], row["to"]]) == [row["from"], row["to"]]}

    def overlaps(self, row):
        """Does what is valid from a day to a day (both included) meet the window?"""
        begins = day_start(HELSINKI, ordinal_of(row["valid_from"])) if row.get("valid_from") else None
        ends = day_start(HELSINKI, ordinal_of(row["valid_to"]) + 1) if row.get("valid_to") else None
        return (self.end is None or begins is None or begins < self.end) and \
            (self.begin is None or ends is None or ends > self.begin)

    def silent_members(self):
        """Members with a node that act in the scope and published nothing in the window."""
        directory, spoke = self.figures.log.directory, self.figures.log.spoken
        return [member for member, row in directory.members.items()
                if "node" in row["roles"] and self.is_own(member) and self.overlaps(row)
                and any(self.has_region(region) for region in row["regions"])
                and not any(self.is_in_window(at) for at in spoke.get(member, []))
                and member in self.asked.get("edge", [member])]

    def narrowed_to(self, fact, end):
        """Is a referral of the scope, seen from this end?"""
        side, self.sides = self.sides, lambda _: end
        try:
            return self.is_of(fact, today=True)
        finally:
            self.sides = side

    # values

    def rate(self, num, *den):
        return {"num": self.sum(num), "den": self.sum(*den)}

    def case_rate(self, num, den):
        return {"num": self.sum_cases(num), "den": self.sum_cases(den)}

    def hand(self, pair):
        return pair[1 if self.elapsed else 0]

    def times(self, name):
        return sorted(self.hand(f.times[name]) for f in self.cohort if name in f.times)

    def time(self, name):
        return spread(self.times(name), self.sum("referrals") <= EXACT_MAX)

    def counts(self, *names):
        return {name: self.sum(name) for name in names}


def value_of(fact, name):
    """What a referral is broken down by, as it is called in a question."""
    if name == "warm":
        return "true" if fact.warm else "false"
    return getattr(fact, name) or "none"


def nearest_rank(values, share):
    """x[ceil(p n)], counted from 1."""
    return values[max(math.ceil(round(share * len(values), 9)), 1) - 1] if values else None


class Near(int):
    """A duration that the broker tells from a sketch: it may be 1 % off."""


def spread(values, exact):
    """Percentiles and the mean of durations, in order; exact in scopes that are small."""
    return {"n": len(values), "p50_ms": nearest_rank(values, 0.5),
            "p90_ms": nearest_rank(values, 0.9), "p99_ms": nearest_rank(values, 0.99),
            "max_ms": values[-1] if values else None,
            "mean_ms": sum(values) / len(values) if values else None,
            "exact": exact}


# --- the metrics ---

def matrix(q):
    if q.kind == "flow":
        return {"transfers": q.sum("referrals"), **{name: q.flow("flow_" + name) for name in FLOWS}}
    if q.kind == "stock":
        return {"open": q.stock()}
    values = q.counts("undelivered", "guidance", "leads", "reported", "internal", "in_meeting")
    values["transfers"] = q.sum("referrals")
    values["share"] = {"num": values["transfers"], "den": q.whole.sum("referrals")}
    return values


def acceptance(q):
    return {"rate": q.rate("accepted", "accepted", "turned_down", "overdue"),
            "strict": q.rate("accepted", "referrals"),
            **q.counts("accepted", "turned_down", "overdue", "backed_out", "withdrawn_early")}


def time_to_accept(q):
    if q.asked.get("clock") == "customer":
        return {"time": q.time("accept_customer"), "implied": q.sum("implied")}
    waits = [q.hand(q.figures.waited(r)) for r in q.open
             if r.delivered is not None and r.accepted is None]
    median = survival_median(q, waits)
    if median is not None and q.sum("referrals") > EXACT_MAX:
        median = Near(median)
    return {"time": q.time("accept"), "survival_median_ms": median, "waiting": len(waits),
            "implied": q.sum("implied")}


def survival_median(q, waits):
    """Kaplan and Meier: who gave up is censored at that time, who waits at the log's time."""
    accepted, gone = q.times("accept"), q.times("given_up") + waits
    there, wait = len(accepted) + len(gone), 1.0
    for time in sorted(set(accepted + gone)):
        events = accepted.count(time)
        wait *= (there - events) / there
        if events and wait <= 0.5 + 1e-9:
            return time
        there -= events + gone.count(time)
    return None


def time_to_contact(q):
    return {"time": q.time("contact"), **q.counts("contacted", "attempts")}


def time_to_complete(q):
    values = {"time": q.time("complete")}
    if "edge" not in q.asked:
        whole = sorted(q.hand(case.complete) for case in q.cases if case.complete is not None)
        values["case_time"] = spread(whole, len(q.cases) <= EXACT_MAX)
    return values


def loop_closed(q):
    return {"rate": q.rate("loop_closed", "closable"),
            "case_rate": q.case_rate("cases_loop_closed", "cases_closable")}


def served(q):
    return {"rate": q.case_rate("cases_served", "cases_closed"), "cases": q.sum_cases("cases"),
            **q.counts(*RESULTS)}


def ping_pong(q):
    return {"rate": q.case_rate("cases_ping_pong", "cases_delivered"),
            "cost": q.time("got_back"), **q.counts("ping_pongs", "loops")}


def chain_length(q):
    if "edge" in q.asked:    # of pairs only the number of shared cases is kept
        return {}
    chains = sorted(case.chain for case in q.cases)
    return {"mean": {"sum": sum(chains), "n": len(chains)},
            "p50": nearest_rank(chains, 0.5) or 0, "p90": nearest_rank(chains, 0.9) or 0,
            "max": max(chains, default=0),
            "above_2": {"num": sum(chain > 2 for chain in chains), "den": len(chains)},
            "lengths": [{"length": chain, "cases": chains.count(chain)}
                        for chain in sorted(set(chains))]}


def reciprocity(q):
    """What is handed there and handed back, with and without those that were expected back."""
    every = {edge: row[0] for edge, row in q.handed.items()}
    wanted = {edge: row[0] - row[1] for edge, row in q.handed.items() if row[0] > row[1]}
    pairs = sorted({tuple(sorted(edge, key=str.encode)) for edge in wanted if edge[0] != edge[1]},
                   key=lambda pair: [member.encode() for member in pair])
    return {"rate": both_ways(wanted), "rate_all": both_ways(every),
            "edges": {"num": sum((b, a) in wanted for a, b in wanted if a != b),
                      "den": len(wanted)},
            "pairs": [{"from": a, "to": b, "there": wanted.get((a, b), 0),
                       "back": wanted.get((b, a), 0)} for a, b in pairs]}


def both_ways(matrix_of):
    return {"num": sum(min(count, matrix_of.get((b, a), 0))
                       for (a, b), count in matrix_of.items() if a != b),
            "den": sum(matrix_of.values())}


def concentration(q):
    """Of each sender: the share of its first one and three recipients, the sum of squared shares."""
    senders = {}
    for (sender, _), row in q.handed.items():
        senders.setdefault(sender, []).append(row[0])
    members = []
    for sender in sorted(senders, key=str.encode):
        counts = sorted(senders[sender], reverse=True)
        n = sum(counts)
        if q.is_own_sender(sender):
            members.append({"member": sender, "n": n, "first1": {"num": counts[0], "den": n},
                            "first3": {"num": sum(counts[:3]), "den": n},
                            "herfindahl": {"num": sum(c * c for c in counts), "den": n * n}})
    return {"members": members}


def working_together(q):
    values = {"returns": q.sum("returns")}
    if "edge" in q.asked:
        values.update(together(q, *q.asked["edge"]))
    elif not q.is_row and "area" not in q.asked and "organisation" not in q.asked:
        members = {member for case in q.figures.cases for _, member in case.parts}
        own = {q.asked["member"]} if "member" in q.asked else members
        pairs = [(x, y) for x in members for y in members if x != y and own & {x, y}]
        rows = [(x, y, together(q, x, y)) for x, y in sorted(pairs, key=bytes_of)]
        values["pairs"] = [{"from": x, "to": y, "meetings": {"num": 0, "den": 0}, **row}
                           for x, y, row in rows if row["together"]["num"]]
    return values


def together(q, x, y):
    """x handed to y and got it back; cases with both of the cases with x."""
    place = {name: q.asked[name] for name in ("region", "month", "year", "from", "to", "zone")
             if name in q.asked}

    def asked(**more):
        return Question({"metric": "working-together", **place, **more}, q.figures)
    back, alone = asked(edge=[y, x]), asked(member=x)
    values = {"subcontracts": back.sum("returns"),
              "together": {"num": len(back.cases), "den": len(alone.cases)}}
    if "region" in q.asked and not q.utc:
        values["meetings"] = q.figures.meetings_of(back, x, y)
    return values


def bytes_of(names):
    """Order of ids: that of their bytes."""
    return [name.encode() for name in names]


def orphans(q):
    """Handovers that nobody takes care of now, each with one owner and one next step."""
    found = []
    for fact in q.figures.facts:
        r = fact.referral
        if r is None or not r.is_transfer() or r.archive or r.on_hold() or \
                r.region not in q.figures.log.directory.regions or not q.may_own(fact):
            continue
        orphan = orphan_of(q.figures, r)
        if orphan is not None and q.is_own(orphan["owner"]):
            found.append({"referral": r.id, "region": r.region, "from": r.sender,
                          "to": r.recipient, "service": r.service, **orphan})
    what = {kind: sum(orphan["what"] == kind for orphan in found) for kind in
            ("left", "dropped", "undelivered", "unanswered", "uncontacted", "silent")}
    found.sort(key=lambda o: bytes_of((o["region"], o["owner"])) +
               [o["since_at"] if o["since_at"] is not None else -math.inf, o["referral"].encode()])
    return {"what": what, **({} if q.is_row else {"orphans": found})}


def orphan_of(figures, r):
    """The first of the kinds that holds, or None."""
    now, directory = figures.now, figures.log.directory
    member = directory.members.get(r.recipient)

    def limit(name, otherwise):
        return directory.setting(r.region, name, otherwise)

    def told(what, owner, step, since):
        return {"what": what, "owner": owner, "step": step, "since_at": since}
    if not r.is_ended() and not directory.is_valid(r.recipient, now):
        gone = None if member is None else directory.valid_to(r.recipient)
        return told("left", r.sender, "refer_anew", gone if gone and gone <= now else None)
    if figures.is_dropped(r):
        return told("dropped", r.recipient, "hand_on", r.ended)
    if r.is_ended():
        return None
    if r.delivered is None:
        late = now - r.commit > limit("undelivered_hours", 1) * HOUR
        return told("undelivered", r.recipient, "look_at_node", r.commit) if late else None
    if r.accepted is None:
        waited = r.recipients_time(r.delivered, now)[0]
        late = waited > limit("unanswered_days", 5) * WORKING_DAY
        return told("unanswered", r.recipient, "answer", r.delivered) if late else None
    if r.contacted is None:
        waited = r.recipients_time(r.accepted, now)[0]
        late = waited > limit("uncontacted_days", 10) * WORKING_DAY
        return told("uncontacted", r.recipient, "contact", r.accepted) if late else None
    late = now - r.last_event > limit("silent_days", 30) * DAY
    return told("silent", r.recipient, "tell", r.last_event) if late else None


def silent_edges(q):
    """Agreed and not used, used and not agreed, members that said nothing."""
    used, agreed = q.used_edges(), q.agreed_edges()

    def listed(edges, others):
        return [{"region": region, "from": sender, "to": to, "transfers": edges[sender, to, region]}
                for sender, to, region in sorted(edges, key=bytes_of)
                if (sender, to, region) not in others]
    return {"silent": listed(agreed, used), "unplanned": listed(used, agreed),
            "members": [{"member": member, "node": "unknown", "heard_at": None}
                        for member in sorted(q.silent_members(), key=str.encode)]}


def meetings(q):
    """Those of a region, of one member those that it was invited to or at."""
    asked, log, only = q.asked, q.figures.log, q.asked.get("member")
    rows = [m for m in log.meetings.values() if m.region == asked["region"]
            and q.is_in_window(m.at()) and
            (only is None or only in m.invited | m.stated | m.confirmed | m.denied)]
    held = [m for m in rows if m.held is not None]
    over = [m for m in rows if m.first_planned is not None and
            (not m.is_open() or m.planned < q.figures.log.time)]
    visits = {m.id for m in held if m.forum_kind() == "joint_visit"}

    def count(of):
        return sum(len({only} & set(of(m)) if only else set(of(m))) for m in held)
    arisen = [r for case in log.cases.values() for r in case.unvoided() if r.meeting and not r.archive
              and r.region == asked["region"] and r.meeting in {m.id for m in held}]
    actions = [a for a in log.actions.values() if a["meeting"] in {m.id for m in held}]
    visited = [a for a in actions if a["meeting"] in visits]
    return {"planned": sum(m.first_planned is not None for m in rows),
            "open": sum(m.is_open() for m in rows), "held": len(held),
            "unplanned": sum(m.first_planned is None for m in rows),
            "cancelled": sum(m.cancelled for m in rows), "moved": sum(m.moves > 0 for m in rows),
            "guests": count(lambda m: m.there() - m.invited),
            "adherence": {"num": sum(m.adheres() for m in over), "den": len(over)},
            "participation": {"num": count(lambda m: m.there() & m.invited),
                              "den": count(lambda m: m.invited)},
            "confirmed": count(lambda m: m.confirmed), "denied": count(lambda m: m.denied),
            "referrals": len(arisen), "leads": sum(r.kind == "lead" for r in arisen),
            "actions": {"num": sum(a["done"] for a in actions), "den": len(actions)},
            "joint_visits": len(visits),
            "visit_referrals": sum(r.meeting in visits for r in arisen),
            "visit_actions": {"num": sum(a["done"] for a in visited), "den": len(visited)},
            "seminars": sum(m.forum_kind() == "seminar" for m in held)}


ELECTRONIC = {"email", "video", "web"}


def follow_up(q):
    """What a region reports of itself: advice, new customers, customers of a year."""
    advice, ways, origins = {}, {}, {}
    for event in q.reports("advice.given"):
        data = event["data"]
        add(advice, (data["service"], data["segment"], data["channel"]), data["count"])
        add(ways, data["channel"], data["count"])
    for event in q.reports("customer.new"):
        add(origins, event["data"]["origin"], event["data"]["count"])
    every = sum(ways.values())
    return {"advice": [{"service": a, "segment": b, "channel": c, "n": n}
                       for (a, b, c), n in advice.items()],
            "electronic": {"num": sum(ways.get(way, 0) for way in ELECTRONIC), "den": every},
            "phone": {"num": ways.get("phone", 0), "den": every},
            "new_customers": [{"origin": origin, "n": n} for origin, n in origins.items()],
            "customers": customers(q)}


def add(sums, key, count):
    sums[key] = sums.get(key, 0) + count


def customers(q):
    """Of each year and segment, and of all segments: the last that each member reported."""
    last, totals = {}, {}
    for event in q.figures.log.others:
        data = event["data"]
        if event["type"] == "kapula.customers.reported.v1" and data["region"] == q.asked["region"]:
            member = data.get("member", event["source"].split("/")[0])
            last[member, data["year"], data["segment"]] = data
    for (_, year, segment), data in last.items():
        for kind in (segment, None):
            row = totals.setdefault((year, kind), [0, 0, 0])
            row[:] = row[0] + data["total"], row[1] + data["new"], row[2] + 1
    first, end = (None if at is None else datetime.date.fromordinal(day_of(HELSINKI, at)).year
                  for at in (q.begin, None if q.end is None else q.end - 1))
    return [{"year": year, "segment": segment, "total": row[0], "new": row[1], "reports": row[2],
             "change": row[0] - totals[year - 1, segment][0] if (year - 1, segment) in totals else None}
            for (year, segment), row in totals.items()
            if (first is None or year >= first) and (end is None or year <= end)]


def targets(q):
    return {"answered": q.rate("target_met", "target_met", "target_missed"),
            "contacted": q.rate("contact_met", "contact_met", "contact_missed"),
            "open": standings(q)}


def standings(q):
    """How the open ones of the cohort stand: missed past the limit, at risk from 80 % of it on."""
    counts = {"fine": 0, "at_risk": 0, "missed": 0}
    for r in q.open:
        standing = standing_of(r, q.figures.now)
        if standing is not None:
            counts[standing] += 1
    return counts


def standing_of(r, now):
    if r.delivered is None or r.limit not in ("answer", "contact"):
        return None
    allowed = (r.contact_days if r.limit == "contact" else r.answer_days) * WORKING_DAY
    used = r.recipients_time(r.limit_from, now)[0]
    if r.state == "expired" or used > allowed:
        return "missed"
    return "at_risk" if 100 * used >= 80 * allowed else "fine"


def data_quality(q):
    return {**q.counts("implied", "clamped", "reported_late", "unknown_outcome"),
            "refused": q.figures.refused(q)}


METRICS = {"matrix": matrix, "acceptance": acceptance, "time-to-accept": time_to_accept,
           "time-to-contact": time_to_contact, "time-to-complete": time_to_complete,
           "loop-closed": loop_closed, "served": served, "ping-pong": ping_pong,
           "chain-length": chain_length, "targets": targets, "data-quality": data_quality,
           "reciprocity": reciprocity, "concentration": concentration,
           "working-together": working_together, "orphans": orphans,
           "silent-edges": silent_edges, "meetings": meetings, "follow-up": follow_up}


class Figures:
    """Everything that is counted at a position of the log. `now`: the clock, by which open ones
    stand well or badly; it may be later than the log's newest event."""

    def __init__(self, log, now, today=None):
        self.log, self.now, self.today = log, now, today
        cases, tallies = list(log.cases.values()), list(log.tallies.values())
        if today is not None:
            cases, tallies = list(map(today.case, cases)), list(map(today.tally, tallies))
        self.facts = facts_of(cases, tallies)
        self.cases = [CaseFact(case) for case in cases if case.unvoided()]
        self.views = {}

    def view(self, asked):
        """The figures that a question is about: as then, or as organisations are now. How open
        ones stand is a matter of the clock, all else of the log's time."""
        if asked.get("view") != "now" or self.today is not None:
            return self
        at = self.now if asked["metric"] in ("targets", "orphans") else self.log.time
        if at not in self.views:
            today = Today(self.log, at)
            self.views[at] = Figures(self.log, self.now, today) if today.heirs else self
        return self.views[at]

    def is_dropped(self, r):
        """Redirected, and the child voided, withdrawn or undelivered 24 hours later; and nobody
        handed the customer on since."""
        if r.state != "redirected":
            return False
        case = self.log.cases[r.scope, r.case]
        child = case.by_id.get(r.next)
        lost = child is None or child.state in ("voided", "withdrawn") or \
            child.delivered is None and self.now - child.created >= DAY
        return lost and not any(case.parent(later) is r and later.state != "withdrawn"
                                for later in case.unvoided()
                                if child is None or later.seq > child.seq)

    def waited(self, r):
        """How long a referral has lain with its recipient."""
        return r.recipients_time(r.delivered, self.log.time)

    def area_today(self, region):
        return self.log.directory.area(region) if self.today is None else self.today.area(region)

    def meetings_of(self, q, x, y):
        """Meetings held with both of those held with x."""
        held = [m.there() for m in self.log.meetings.values() if m.region == q.asked["region"]
                and m.held is not None and q.is_in_window(m.at()) and x in m.there()]
        return {"num": sum(y in there for there in held), "den": len(held)}

    def refused(self, q):
        """Refused events of a member, of the members that act in a region, of all."""
        asked = q.asked
        if q.where or "edge" in asked or q.utc:
            return 0
        return sum(q.is_in_window(at) and self.refused_by(member, asked)
                   for member, at in self.log.refused)

    def refused_by(self, member, asked):
        directory = self.log.directory
        if self.today is not None:    # who follows it everywhere answers for it
            heir = self.today.follow("member", member)
            member = heir if heir in directory.members else member
        if "member" in asked:
            return member == asked["member"]
        if "organisation" in asked:
            return directory.organisation(member) == asked["organisation"]
        if "region" in asked:
            return directory.acts_in(member, asked["region"])
        if "area" in asked:
            return any(directory.acts_in(member, region) for region in directory.regions
                       if directory.area(region) == asked["area"])
        return True

    # answers

    def answer(self, asked, whole=None):
        """n, decided, pending and the values of a question; `whole`: the one it is a row of."""
        q = Question(asked, self)
        q.is_row = whole is not None
        q.whole = Question(whole, self) if q.is_row else q
        values = METRICS[q.metric](q)
        if q.metric == "orphans":
            n = sum(values["what"].values())
            return {"n": n, "decided": 0, "pending": n, "values": values}
        if q.metric == "follow-up":
            return {"values": values}
        if q.metric == "meetings":
            n, pending = values["planned"] + values["unplanned"], values["open"]
            return {"n": n, "decided": n - pending, "pending": pending, "values": values}
        if q.side == "cases":
            n, decided = q.sum_cases("cases"), q.sum_cases("cases_closed")
        elif q.kind == "stock":
            n = q.entered()
            decided = n - q.stock()
        else:
            n = q.sum("referrals")
            decided = n - q.sum("pending")
        return {"n": n, "decided": decided, "pending": n - decided, "values": values}

    def row(self, asked, key):
        """The same of one row of the answer, told by its key."""
        by, narrow = asked["by"], {k: v for k, v in asked.items() if k != "by"}
        if "region" in key or by in ("edge", "member"):
            narrow.pop("area", None)
            narrow.pop("nation", None)
            narrow.update({k: v for k, v in key.items() if k == "region"})
        if by in ("edge", "member"):
            for other in ("organisation", "member", "edge"):
                narrow.pop(other, None)
            narrow[by] = key[by]
        elif by in BREAKDOWNS:
            value = key[by]
            narrow["where"] = {**narrow.get("where", {}),
                               by: {True: "true", False: "false"}.get(value, value)}
        elif by == "month":
            return self.answer(self.in_month(narrow, key["month"]), asked)
        return self.answer(narrow, asked)

    def in_month(self, narrow, month):
        """The part of a question's window that lies in a month."""
        q = Question(narrow, self)
        inside = Question({**{k: v for k, v in narrow.items() if k not in ("from", "to", "year")},
                           "month": month}, self)
        days = {}
        for name, a, b, choose in (("from", q.begin, inside.begin, max),
                                   ("to", q.end, inside.end, min)):
            at = b if a is None else choose(a, b)
            days[name] = datetime.date.fromordinal(day_of(q.zone, at)).isoformat()
        if q.kind == "stock":
            del days["from"]
        return {**{k: v for k, v in narrow.items() if k not in ("month", "year")}, **days}

    def keys(self, asked):
        """Keys of the rows in which there may be something to tell."""
        if asked["metric"] == "meetings":
            return []
        q, by, found = Question(asked, self), asked["by"], {}
        placed = "region" in asked
        for fact in self.facts:
            for key in self.keys_of(q, by, fact):
                if not placed and by in ("edge", "member"):
                    key["region"] = fact.region
                found[repr(sorted(key.items()))] = key
        return list(found.values())

    def keys_of(self, q, by, fact):
        ends = [end for end in (fact.sender, fact.recipient) if q.narrowed_to(fact, end)]
        if not ends:
            return
        if by == "edge":
            if fact.sender != fact.recipient:    # fell together since: no edge any more
                yield {"edge": [fact.sender, fact.recipient]}
        elif by == "member":
            sides = {"sends": [fact.sender], "gets": [fact.recipient],
                     "cases": [fact.sender, fact.recipient]}[q.side]
            yield from ({"member": end} for end in sides if end in ends)
        elif by == "region":
            yield {"region": fact.region}
        elif by == "month":
            of = q.side == "cases" or q.is_of(fact, today=True)
            for at in [fact.at] + list(fact.flows.values()):
                if of and q.is_in_window(at):
                    date = datetime.date.fromordinal(day_of(q.zone, at))
                    yield {"month": f"{date.year:04d}-{date.month:02d}"}
        else:
            yield {by: value_of(fact, by)}
