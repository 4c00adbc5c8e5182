"""The demo portal: a stand-in for Bitrix24 on loopback, an invented company, replays."""
