# SPDX-License-Identifier: MPL-2.0
"""The client written from proto/SPEC.md, against a real broker."""

import threading
import unittest

from kapula_client import NEVER, Refused, build, new_producer
from lone import REFERRAL, Broker, created


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.stop)
        self.municipality = self.broker.client("municipality")
        self.finnvera = self.broker.client("finnvera")
        self.addCleanup(self.municipality.close)
        self.addCleanup(self.finnvera.close)
        self.source = f"municipality/{new_producer()}"

    def publish(self, *events):
        receipt = self.municipality.publish(self.source, 1, list(events))
        self.assertEqual(receipt["status"], "ok")
        return receipt

    def test_what_is_published_is_receipted_once_and_fetched_from_the_past(self):
        event = created(self.source, 1)
        receipt = self.publish(event)
        self.assertEqual(receipt["verdicts"][0][0], "accepted", receipt)
        self.assertEqual(receipt["expected"], 2)
        self.assertEqual(self.publish(event)["verdicts"], receipt["verdicts"])
        head, events = self.finnvera.fetch({"member/finnvera": (NEVER, 0)})
        self.assertEqual(head["streams"][0][1], "ok")
        self.assertEqual(len(events), 1)
        meta, shown, ends, _ = events[0]
        self.assertEqual(meta[1:3], [1, receipt["verdicts"][0][3]])
        self.assertEqual(meta[7], receipt["verdicts"][0][4])
        self.assertEqual(shown["data"]["referral"], REFERRAL)
        self.assertEqual(ends, event[1])

    def test_a_reader_of_the_region_gets_the_open_part_only(self):
        self.publish(created(self.source, 1))
        _, events = self.finnvera.fetch({"region/mikkeli": (NEVER, 0)})
        self.assertEqual([(ends, sealed) for _, _, ends, sealed in events], [(b"", b"")])

    def test_a_waiting_fetch_is_answered_by_what_comes(self):
        seen = []
        feed = self.finnvera.follow("member/finnvera")
        self.publish(created(self.source, 1))
        seen.append(next(feed))
        waiting = threading.Thread(target=lambda: seen.append(next(feed)))
        waiting.start()
        receipt = self.municipality.publish(self.source, 2, [created(self.source, 2, "second")])
        self.assertEqual(receipt["status"], "ok")
        waiting.join(30)
        self.assertEqual([meta[1] for meta, *_ in seen], [1, 2])
        self.assertEqual(seen[1][1]["data"]["referral"], "second")

    def test_a_query_is_answered_at_a_position(self):
        receipt = self.publish(created(self.source, 1))
        answer = self.municipality.query("mark", source=self.source)
        self.assertEqual(answer["last"], 1)
        self.assertGreaterEqual(answer["as_of_seq"], receipt["position"])
        edges = self.municipality.query("edges", region="mikkeli", min_seq=receipt["position"])
        self.assertEqual([(e["from"], e["to"]) for e in edges["edges"]],
                         [("municipality", "finnvera")])

    def test_what_is_wrong_is_refused_in_words(self):
        foreign = self.finnvera.publish(self.source, 1, [created(self.source, 1)])
        self.assertEqual(foreign["status"], "foreign")
        gap = self.municipality.publish(self.source, 5, [created(self.source, 5)])
        self.assertEqual((gap["status"], gap["expected"]), ("gap", 1))
        answer = "kapula.referral.accepted.v1"
        receipt = self.publish(build(self.source, 1, answer, {"referral": "nobody's"}))
        verdict, number, sentence, _, _ = receipt["verdicts"][0]
        self.assertEqual((verdict, number), ("refused", 200), sentence)
        head, events = self.municipality.fetch({"member/finnvera": (NEVER, 0)})
        self.assertEqual((head["streams"][0][1], events), ("not_allowed", []))
        with self.assertRaises(Refused):
            self.municipality.query("horoscope")
        self.municipality.mesh = bytes(32)
        with self.assertRaises((Refused, TimeoutError)):
            self.municipality.request(3, [b"\xc4\x00"], seconds=2)


if __name__ == "__main__":
    unittest.main()
