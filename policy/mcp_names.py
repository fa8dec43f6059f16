"""What the name of a tool says that it does: the verbs in it, the most dangerous first."""

import re
from collections.abc import Sequence
from typing import Final

from policy.model import Operation, worse

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_BY_OPERATION: Final[dict[Operation, str]] = {
    _READ: (
        "get gets list lists search find read fetch show view describe count check lookup browse status info inspect"
        " explain preview diff summarize summary compare validate verify retrieve download select query queries stat"
        " stats tree glob grep head tail exists help docs resolve estimate calculate calculator compute convert parse"
        " extract analyze detect translate weather forecast time date now echo ping health version whoami who history"
        " log logs monitor watch trace snapshot screenshot peek scan open navigate think thinking sequentialthinking"
        " fetching reader recall answer ask"
    ),
    _WRITE: (
        "create add write update set put insert save edit modify append send post upload rename copy comment merge"
        " commit push publish upsert store patch change assign label tag submit reply notify book schedule import fill"
        " type click press select_option upload subscribe clone fork sync checkout track remember generate make new"
        " mkdir touch restore register enable mark pin star follow like transition link attach log_work scale"
        " increment decrement tweet email message mail react share_file replace draft close reopen resolve_thread pay"
        " transfer order buy purchase charge refund approve_payment"
    ),
    _DELETE: (
        "delete deletes remove clear purge destroy erase trash unlink wipe truncate discard cancel rm del archive prune"
        " expire flush reset unpublish revert undo uninstall cleanup clean move drop_file empty detach evict deletion"
    ),
    _DDL: "migrate migration migrations alter schema ddl drop index reindex",
    _GRANT: (
        "grant revoke permission permissions role roles acl invite user users member members collaborator access"
        " privilege privileges policy token tokens apikey secret credential credentials password share membership"
    ),
    _EXECUTE: (
        "run runs exec execute executes eval evaluate shell bash sh zsh powershell cmd command commands terminal script"
        " python javascript node code invoke call ssh spawn launch deploy trigger start build compile dispatch test"
        " apply assume impersonate elevate escalate login logout authenticate switch process automate macro repl"
        " sandbox interpreter function workflow job pipeline install"
    ),
    _ADMIN: (
        "shutdown restart reboot kill stop terminate admin sudo config configure configuration settings failover"
        " suspend disable halt poweroff firewall backup_restore drain cordon rotate"
    ),
}
_VERBS: Final = {word: operation for operation, words in _BY_OPERATION.items() for word in words.split()}
# Words that name what is read or written, and say by themselves only what a change to it would be.
_SUBJECTS: Final = frozenset(
    "permission permissions role roles acl user users member members collaborator access privilege policy token tokens"
    " apikey secret credential credentials password membership schema index migration migrations config configuration"
    " settings status info log logs history time date code function functions workflow job jobs pipeline process"
    " command commands script test message mail email order node tag label comment link firewall terminal python"
    " javascript build summary version snapshot schedule deletion stats help docs query queries now new".split()
)


def split_name(name: str) -> list[str]:
    """The words of a name, in lower case: snake_case, camelCase, kebab-case, dots and slashes."""
    return [word.lower() for word in _WORDS.findall(name[:256])]


def judge_name(words: Sequence[str]) -> Operation | None:
    """What a name says; None when it has no verb. `get_user` reads a user, `create_user` changes who may do what."""
    verbs = [_VERBS[word] for word in words if word in _VERBS and word not in _SUBJECTS]
    subjects = [_VERBS[word] for word in words if word in _SUBJECTS]
    if not verbs:
        return worse(_READ, *subjects) if subjects else None
    operation = worse(_READ, *verbs)
    return operation if operation is _READ else worse(operation, *(each for each in subjects if each is not _EXECUTE))
