"""Hold music: the company's own, or one of Twilio's public tracks (Twilio docs: Enqueue, waitUrl)."""

from shared.config import Settings

BUCKETS = {
    "classical": (
        "BusyStrings.mp3",
        "ClockworkWaltz.mp3",
        "ith_brahms-116-4.mp3",
        "ith_chopin-15-2.mp3",
        "MARKOVICHAMP-Borghestral.mp3",
    ),
    "ambient": ("gurdonark_-_Exurb.mp3", "gurdonark_-_Plains.mp3", "aerosolspray_-_Living_Taciturn.mp3"),
    "electronica": ("Kaer_Trouz_-_Seawall_Stepper.mp3", "teru_-_110_Downtempo_Electronic_4.mp3"),
    "guitars": ("Pitx_-_A_Thought.mp3", "Pitx_-_Long_Winter.mp3"),
    "rock": (
        "jlbrock44_-_Apologize_Guitar_Deep_Fried.mp3",
        "jlbrock44_-_Apologize_Guitar_DropC.mp3",
        "nickleus_-_original_guitar_song_200907251723.mp3",
    ),
    "soft-rock": (
        "_ghost_-_promo_2_sample_pack.mp3",
        "Fireproof_Babies_-_Melancholy_4_a_Sun-lit_day.mp3",
        "jacksontorreal_-_The_First_Sunny_Sky.mp3",
    ),
}


def tracks(genre: str) -> list[str]:
    """The URLs of the tracks of one genre; none if Twilio has no such genre."""
    return [f"http://com.twilio.music.{genre}.s3.amazonaws.com/{name}" for name in BUCKETS.get(genre, ())]


def hold(settings: Settings) -> str:
    """What callers hear while they wait."""
    return settings.hold_music or tracks("classical")[0]
