"""The demo portal: a loopback stand-in for Bitrix24, an invented company, and replays of csv folders."""
