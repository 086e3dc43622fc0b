"""What RFC 6455 and RFC 7692 ask of a server, case by case, in the order of the Autobahn test suite."""
