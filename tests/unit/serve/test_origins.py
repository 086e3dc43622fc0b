"""``pitwall.serve.origins``: which web pages may use the server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pitwall.serve.origins import OriginPolicy


class DefaultPolicyTests(SynchronousTestCase):
    """Without ``ALLOWED_ORIGINS`` a page of the same host may, and a developer's own."""

    def assert_allowed(self, origin: str | None, host: str | None = "wall.local:8081", allowed: bool = True) -> None:
        """The policy says so."""
        self.assertEqual(OriginPolicy().allows(origin, host), allowed, origin)

    def test_no_browser(self) -> None:
        """A program that sends no Origin may."""
        self.assert_allowed(None)
        self.assert_allowed(None, None)

    def test_same_host(self) -> None:
        """A page from the same host may, on whatever port and by whatever scheme it was served."""
        for origin in ("http://wall.local:8081", "http://wall.local", "https://WALL.local:3000"):
            self.assert_allowed(origin)
        self.assert_allowed("http://[fe80::1]:3000", "[fe80::1]:8081")

    def test_localhost(self) -> None:
        """A page under development on this machine may."""
        for origin in ("http://localhost:5173", "http://127.0.0.1", "https://localhost:3000", "http://[::1]:8080"):
            self.assert_allowed(origin)

    def test_others(self) -> None:
        """Pages of other hosts may not, however much their names resemble ours."""
        for origin in (
            "http://evil.example",
            "http://wall.local.evil.example",
            "http://localhost.evil.example",
            "http://wall.local@evil.example",
            "http://notlocalhost",
            "null",
            "file://",
            "",
            "http://",
            "http://[bad",
        ):
            self.assert_allowed(origin, allowed=False)
        self.assert_allowed("http://evil.example", None, allowed=False)

    @given(st.text(max_size=60), st.none() | st.text(max_size=60))
    def test_any_headers(self, origin: str, host: str | None) -> None:
        """Whatever stands in the headers, there is an answer."""
        self.assertIn(OriginPolicy().allows(origin, host), (True, False))
        self.assertFalse(OriginPolicy(["https://wall.example.com"]).allows(origin, host))


class ChangeTests(SynchronousTestCase):
    """Who may change something."""

    def test_every_header(self) -> None:
        """Every Origin must be allowed, where there are several; one that is allowed outdoes Sec-Fetch-Site."""
        policy = OriginPolicy(["https://wall.example.com"])
        own, other = "https://wall.example.com", "https://evil.example"
        self.assertTrue(policy.may_change([own], ["cross-site"], "10.0.0.5"))
        self.assertFalse(policy.may_change([own, other], [], "10.0.0.5"))
        self.assertFalse(policy.may_change([], ["none", "cross-site"], "10.0.0.5"))
        self.assertTrue(policy.may_change([], ["same-site"], "10.0.0.5"))

    def test_everybody(self) -> None:
        """With ``*`` whatever page may."""
        self.assertTrue(OriginPolicy(["*"]).may_change(["null"], ["cross-site"], None))
        self.assertTrue(OriginPolicy(["*"]).may_change([], ["cross-site"], None))


class ListedOriginsTests(SynchronousTestCase):
    """With ``ALLOWED_ORIGINS`` exactly these may."""

    def test_exactly(self) -> None:
        """An origin matches as a whole, without regard to case or a slash at its end; nothing else does."""
        policy = OriginPolicy(["https://Wall.example.com/", "http://10.0.0.5:3000"])
        for origin in ("https://wall.example.com", "HTTPS://WALL.EXAMPLE.COM", "http://10.0.0.5:3000"):
            self.assertTrue(policy.allows(origin, "10.0.0.5:8081"), origin)
        for origin in (
            "http://wall.example.com",
            "https://wall.example.com:8443",
            "https://wall.example.com.evil",
            "http://10.0.0.5",
            "http://localhost:3000",
            "null",
        ):
            self.assertFalse(policy.allows(origin, "10.0.0.5:8081"), origin)
        self.assertTrue(policy.allows(None, "10.0.0.5:8081"))

    def test_any_port(self) -> None:
        """``:*`` stands for any port, the usual one that a browser leaves out included."""
        policy = OriginPolicy(["http://localhost:*"])
        for origin in ("http://localhost:3000", "http://localhost:80", "http://localhost"):
            self.assertTrue(policy.allows(origin, None), origin)
        for origin in ("https://localhost:3000", "http://localhost.evil:3000", "http:"):
            self.assertFalse(policy.allows(origin, None), origin)

    def test_every_page(self) -> None:
        """``*`` lets every page in."""
        for origin in ("http://evil.example", "null", "anything"):
            self.assertTrue(OriginPolicy(["*"]).allows(origin, None))

    def test_from_disk(self) -> None:
        """``null`` lets in pages that were opened from disk."""
        self.assertTrue(OriginPolicy(["null"]).allows("null", "wall.local"))
        self.assertFalse(OriginPolicy(["null"]).allows("http://evil.example", "wall.local"))
