"""What `tagstream publish` is told to publish, and under which public ids."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.cli.sources import Sources, SourcesError, is_url, without_extension

New = Callable[..., Path]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """Make files in a folder, each with its own path as content; give the folder."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.fsencode(name))
        return tmp_path

    return make


def ids(*named: str | Path, **options: object) -> list[str]:
    sources = Sources(map(str, named), **options)  # type: ignore[arg-type]
    return [photo.public_id for photo in sources.photos]


@pytest.mark.parametrize(
    ("source", "expected"),
    [("https://a.test/b", True), ("DATA:,x", True), ("s3://photos/a", True), ("file:///srv/a.jpg", True),
     ("photos/a.jpg", False), ("/srv/photos", False), ("database", False)],
)  # fmt: skip
def test_what_is_published_as_a_url(source: str, expected: bool) -> None:  # noqa: FBT001 - a case
    """Whether workers fetch it is theirs to say; the rest is files and folders on this machine."""
    assert is_url(source) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("koala.jpg", "koala"), ("a/IMG_0001.JPEG", "a/IMG_0001"), ("v1.2", "v1.2"), ("notes.txt", "notes.txt"),
     ("a.tar.webp", "a.tar"), ("a.b/c", "a.b/c"), (".jpg", ".jpg"), ("a.jpg.png", "a.jpg")],
)  # fmt: skip
def test_the_extension_of_a_photo_is_left_out(name: str, expected: str) -> None:
    """As Cloudinary's public ids leave out the format; other endings belong to the name."""
    assert without_extension(name) == expected


def test_public_ids_are_paths_below_the_folder(new: New) -> None:
    """Photos of one name in two folders stay two images, in the order of their paths."""
    folder = new("a/IMG_0001.jpg", "b/IMG_0001.png", "b/c/IMG_0001.JPG", "top.webp")
    assert ids(folder) == ["a/IMG_0001", "b/IMG_0001", "b/c/IMG_0001", "top"]
    assert ids(folder / "b") == ["IMG_0001", "c/IMG_0001"]
    assert ids(f"{folder}/b/") == ["IMG_0001", "c/IMG_0001"]
    assert ids(folder / "b" / "IMG_0001.png") == ["IMG_0001"]


def test_a_prefix_and_the_extension_tell_photos_apart(new: New) -> None:
    """The two cures that refusals name."""
    folder = new("IMG_0001.jpg", "IMG_0001.png")
    assert ids(folder, keep_extension=True) == ["IMG_0001.jpg", "IMG_0001.png"]
    assert ids(folder / "IMG_0001.jpg", prefix="holiday/") == ["holiday/IMG_0001"]


def refusal(*named: str | Path, **options: object) -> str:
    with pytest.raises(SourcesError) as caught:
        ids(*named, **options)
    return str(caught.value)


def test_two_photos_with_one_public_id_are_refused(new: New) -> None:
    """Both names, the public id and the cure; how many others there are."""
    folder = new("a/1.jpg", "a/1.png", "a/2.jpg", "a/2.png", "b/1.jpg")
    said = refusal(folder / "a")
    assert said.startswith(f"'{folder}/a/1.jpg' and '{folder}/a/1.png' would be one image, public id '1'")
    assert "and 1 more public ids are meant twice; nothing was published" in said
    assert said.endswith("Rename one, or say --keep-extension")
    said = refusal(folder / "a" / "1.jpg", folder / "b")
    assert f"'{folder}/a/1.jpg' and '{folder}/b/1.jpg' would be one image, public id '1'" in said
    assert said.endswith(
        "Name a folder that holds both, or publish them apart, each with a --public-id-prefix of its own"
    )


@pytest.mark.parametrize(
    ("one", "other", "public_id", "cure"),
    [
        ("https://h.test/a/1.jpg", "https://h.test/b/1.jpg", "1", "Publish them apart"),
        ("https://h.test/a/1.jpg", "https://h.test/a/1.png", "1", "--keep-extension"),
        ("https://h.test/image?id=1", "https://h.test/image?id=2", "image", "Publish them apart"),
        ("https://h.test/?id=1", "https://h.test/?id=2", "h.test", "Publish them apart"),
    ],
)
def test_two_urls_with_one_public_id_are_refused(one: str, other: str, public_id: str, cure: str) -> None:
    """A query does not count in a public id, so it cannot tell two of them apart."""
    said = refusal(one, other)
    assert f"{one!r} and {other!r} would be one image, public id {public_id!r}" in said
    assert cure in said


def test_a_file_and_a_url_with_one_public_id_are_refused(new: New) -> None:
    """However they are named."""
    koala = new("koala.jpg") / "koala.jpg"
    assert "'https://h.test/koala.png' would be one image" in refusal(koala, "https://h.test/koala.png")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h.test/a/b/koala.jpg?w=200&sig=x/y.png#top", "koala"),
        ("https://h.test/my%20photo%C3%A9.jpg", "my photoé"),
        ("https://h.test/%ff.jpg", "%ff"),
        ("https://h.test/photos/", "photos"),
        ("https://h.test", "h.test"),
        ("s3://bucket/2026/koala.webp", "koala"),
        ("https://h.test/v1.2", "v1.2"),
        ("http://[/1.jpg", "http://[/1"),
    ],
)
def test_the_public_id_of_a_url(url: str, expected: str) -> None:
    """The last part of its path, in plain characters, without query; what is no URL is told by workers."""
    assert ids(url) == [expected]


def test_data_urls_are_called_by_their_content() -> None:
    """They have no name: the same content is the same image, other content another."""
    first, again, other = "data:text/plain,a/b", "data:text/plain,a/b", "data:text/plain,c/b"
    (public_id,) = ids(first, again)
    assert public_id.startswith("data-")
    assert ids(other) != [public_id]
    assert len(ids(first, other)) == 2


def test_what_is_named_twice_is_published_once(new: New) -> None:
    """The same file by two ways, and the same URL, are no clash."""
    folder = new("koala.jpg")
    assert ids(folder, folder / "koala.jpg", f"{folder}/./koala.jpg") == ["koala"]
    assert ids("https://h.test/1.jpg", "https://h.test/1.jpg") == ["1"]


def test_other_files_are_left_out_and_counted(new: New) -> None:
    """Nobody takes a folder of .psd for published."""
    folder = new("a.jpg", "b.psd", "c/d.PSD", "Makefile", "e.txt")
    (folder / "folder.jpg").mkdir()
    sources = Sources([str(folder)])
    assert [photo.public_id for photo in sources.photos] == ["a"]
    assert sources.left_out_text() == "4 other files (.psd 2, Makefile 1, .txt 1)"


def test_links_are_told(new: New) -> None:
    """One to a photo is a photo; those to folders are not followed, and not passed over in silence."""
    folder = new("a/1.jpg", "b/2.jpg")
    (folder / "a" / "3.jpg").symlink_to(folder / "b" / "2.jpg")
    (folder / "a" / "more").symlink_to(folder / "b")
    (folder / "a" / "4.jpg").symlink_to(folder / "gone.jpg")
    sources = Sources([str(folder / "a")])
    assert [photo.public_id for photo in sources.photos] == ["1", "3"]
    assert sources.left_out_text() == "2 other files (link to nothing 1, link to a folder 1)"


def test_a_folder_of_other_files_is_refused(new: New) -> None:
    """The message says what counts as a photo, and what was found instead."""
    said = refusal(new("b.psd"))
    assert "holds no photos (.apng, .avif, .bmp" in said
    assert said.endswith("; it holds 1 other file (.psd 1)")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 251 + ".jpg", None),
        ("a" * 200 + "/" + "x" * 55 + ".jpg", "has 256 characters, at most 255 are possible"),
        (" .jpg", "public id ' ' is blank"),
        ("a\nb.jpg", "holds a control character"),
        (os.fsdecode(b"\xff.jpg"), "its name is not UTF-8; rename it"),
    ],
)
def test_a_name_that_no_public_id_can_have(name: str, said: str | None, new: New) -> None:
    """Refused here with the file's name: workers would make a dead letter of it."""
    folder = new(name)
    if said is None:
        assert ids(folder) == ["x" * 251]
    else:
        message = refusal(folder)
        assert said in message
        message.encode()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read(new: New) -> None:
    """It is named, and nothing is published."""
    folder = new("a.jpg", "b.jpg")
    (folder / "b.jpg").chmod(0)
    assert f"'{folder}/b.jpg' may not be read: change its permissions" in refusal(folder)
    (folder / "b.jpg").unlink()
    (folder / "inner").mkdir(mode=0)
    assert f"'{folder}/inner' cannot be read (Permission denied): change its perm" in refusal(folder)
    (folder / "inner").rmdir()
