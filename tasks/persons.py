"""Names of persons where a title or a phrase announces them: `Mr Smith`, `my name is Ann Lee`, `王先生`, `我叫李雷`.

A name that nothing announces stays: telling `Julia` the guest from `Julia` the film takes a model of the language, and
none is to be had in a maintained package without a download. So this hides some of the names, and never all.
"""

import re

_NAME = r"[A-Z][a-z'’\u00c0-\u024f]*(?:[A-Z][a-z\u00c0-\u024f]+)?"
_FULL = rf"{_NAME}(?:(?: [A-Z]\.)* (?:(?:van|von|de|da|del|der|al|bin) )?{_NAME}){{0,2}}"
_NOBODY = (  # capitalised words that follow such a phrase and are no name
    "All Both Customer Customers Dr Everybody Everyone Friend Friends From Guest God Hotel I In It Lord Madam Manager "
    "Miss Mr Mrs Ms My None Nobody No On Reader Santa Service Sir Sirs Staff Support Team The There This To Unknown "
    "Wonderful You Your"
)
_TITLE = r"\b(?:Mr|Mrs|Ms|Mx|Dr|Prof)\.? |\b(?:Miss|Mister|Professor|Doctor) "
_PHRASE = (
    r"\b[Mm]y (?:full )?name(?:'s| is) |\b(?:[Ff]ull |[Ff]irst |[Ll]ast )?[Nn]ame: ?|\b[Cc]ontact(?: person)?: ?|"
    r"\b(?:[Kk]ind |[Bb]est |[Ww]arm )?[Rr]egards,? |\b[Bb]est wishes,? |\b(?:[Yy]ours )?[Ss]incerely,? |"
    r"\b[Ss]igned,? |\bDear "
)
_LATIN = re.compile(
    rf"((?:{_PHRASE})(?:{_TITLE})?|{_TITLE})(?!(?:{'|'.join(_NOBODY.split())})\b)({_FULL})(?![A-Za-z_])"
)

_SURNAMES = (  # some hundred of the most frequent; without those that are prepositions as well
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑谢罗梁宋唐许韩冯邓曹彭曾萧肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆汪范"
    "廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔常汤"
)
_COMPOUND = "欧阳|上官|司马|诸葛|皇甫|尉迟|公孙|慕容|司徒|夏侯|令狐|东方|端木|南宫"
_HAN = "\u4e00-\u9fff"
_NO_NAME = (
    "任何|金融|高级|高等|高中|白天|白班|程序|万一|方便|马上|石油|毛绒|何时|何处|何种"  # words that begin with a surname
)
_SURNAME = rf"(?:{_COMPOUND}|(?!{_NO_NAME})[{_SURNAMES}])"
_GIVEN = rf"(?![的了是不在有国们就很也都])[{_HAN}]"
_ROLE = "先生|女士|小姐|太太|老师|医生|大夫|经理|主任|教授|师傅|阿姨|警官|律师"
# before the surname no other Han character, but for those words and particles that often stand before a name
_BEFORE = rf"(?<![{_HAN}])|(?<=[找请问给向和与跟是叫的位让被])|(?<=感谢|联系|前台|客服|经理|老板)"
_TITLED = re.compile(rf"(?:{_BEFORE}){_SURNAME}(?:{_GIVEN}){{0,2}}?(?={_ROLE})")
_SAID = "我叫|名叫|我是|本人|姓名|联系人|收件人|收款人|寄件人|持卡人|户名|投诉人|客户"
_NAMED = re.compile(rf"((?:{_SAID})[是为:：]? ?){_SURNAME}(?:{_GIVEN}){{1,2}}(?![{_HAN}])")


ANNOUNCED = r"\b(?:Mrs?|Ms|Mx|Dr|Prof|Miss|Mister|Doctor|Dear)|[Nn]ame|[Cc]ontact|egards|wishes|incerely|igned"
"""What a text in Latin letters must hold for a name to be announced in it."""
_ANNOUNCED = re.compile(ANNOUNCED)


def mask_person(text: str) -> str:
    """Announced names -> [PERSON]; what announces them stays."""
    if not text.isascii():
        text = _NAMED.sub(r"\1[PERSON]", _TITLED.sub("[PERSON]", text))
    return _LATIN.sub(r"\1[PERSON]", text) if _ANNOUNCED.search(text) else text
