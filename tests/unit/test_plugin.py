"""twistd finds PitWall."""

from __future__ import annotations

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pitwall import config
from twisted.plugins import pitwall_plugin


class PluginTests(SynchronousTestCase):
    """`twisted/plugins/pitwall_plugin.py`."""

    def test_service_maker(self) -> None:
        """It offers the one command `pitwall`, with its options."""
        maker = pitwall_plugin.pitwall
        verifyObject(IServiceMaker, maker)
        self.assertTrue(IPlugin.providedBy(maker))
        self.assertEqual((maker.tapname, maker.module), ("pitwall", "pitwall.service"))
        self.assertIs(maker.options, config.Options)
        self.assertIs(maker.makeService, namedAny("pitwall.service.makeService"))
