"""Search words: names of countries and documents, and words that any search may contain.

Keys are meanings; values are their spellings, in lower case and simplified Chinese. A spelling may have several words.
"""

from __future__ import annotations

from collections.abc import Mapping

COUNTRIES: Mapping[str, str] = {
    "AE": "uae, emirates, emirati, united arab emirates, dubai, abu dhabi, 阿联酋, 迪拜",
    "AL": "albania, albanian, 阿尔巴尼亚",
    "AM": "armenia, armenian, 亚美尼亚",
    "AO": "angola, 安哥拉",
    "AR": "argentina, argentine, 阿根廷",
    "AT": "austria, austrian, österreich, 奥地利",
    "AU": "australia, australian, aus, 澳大利亚, 澳洲",
    "AZ": "azerbaijan, 阿塞拜疆",
    "BA": "bosnia and herzegovina, bosnia, 波黑, 波斯尼亚",
    "BD": "bangladesh, bangladeshi, 孟加拉国, 孟加拉",
    "BE": "belgium, belgian, 比利时",
    "BG": "bulgaria, bulgarian, 保加利亚",
    "BH": "bahrain, 巴林",
    "BN": "brunei, 文莱",
    "BO": "bolivia, 玻利维亚",
    "BR": "brazil, brazilian, brasil, 巴西",
    "BT": "bhutan, 不丹",
    "BW": "botswana, 博茨瓦纳",
    "BY": "belarus, belarusian, 白俄罗斯",
    "CA": "canada, canadian, 加拿大",
    "CG": "congo, 刚果",
    "CH": "switzerland, swiss, schweiz, 瑞士",
    "CI": "ivory coast, cote d ivoire, côte d ivoire, 科特迪瓦",
    "CL": "chile, chilean, 智利",
    "CM": "cameroon, cameroun, 喀麦隆",
    "CN": "china, chinese, prc, 中国",
    "CO": "colombia, colombian, 哥伦比亚",
    "CR": "costa rica, 哥斯达黎加",
    "CU": "cuba, cuban, 古巴",
    "CY": "cyprus, 塞浦路斯",
    "CZ": "czech republic, czechia, czech, 捷克",
    "DE": "germany, german, deutschland, deutsch, 德国",
    "DK": "denmark, danish, danmark, 丹麦",
    "DO": "dominican republic, 多米尼加",
    "DZ": "algeria, algerian, 阿尔及利亚",
    "EC": "ecuador, 厄瓜多尔",
    "EE": "estonia, estonian, 爱沙尼亚",
    "EG": "egypt, egyptian, 埃及",
    "ES": "spain, spanish, españa, espana, 西班牙",
    "ET": "ethiopia, ethiopian, 埃塞俄比亚",
    "EU": "schengen, european union, europe, 申根, 欧盟, 欧洲",
    "FI": "finland, finnish, suomi, 芬兰",
    "FJ": "fiji, 斐济",
    "FR": "france, french, 法国",
    "GB": "uk, gb, united kingdom, great britain, britain, british, england, scotland, wales, 英国",
    "GE": "georgia, georgian, 格鲁吉亚",
    "GH": "ghana, 加纳",
    "GR": "greece, greek, hellas, 希腊",
    "GT": "guatemala, 危地马拉",
    "GY": "guyana, 圭亚那",
    "HK": "hong kong, hongkong, hksar, 香港特区, 香港",
    "HR": "croatia, croatian, hrvatska, 克罗地亚",
    "HU": "hungary, hungarian, 匈牙利",
    "ICAO": "icao, icao 9303, 国际民航组织",
    "ID": "indonesia, indonesian, bali, 印度尼西亚, 印尼",
    "IE": "ireland, irish, 爱尔兰",
    "IL": "israel, israeli, 以色列",
    "IN": "india, indian, 印度",
    "IQ": "iraq, iraqi, 伊拉克",
    "IR": "iran, iranian, 伊朗",
    "IS": "iceland, icelandic, 冰岛",
    "IT": "italy, italian, italia, 意大利, 义大利",
    "JM": "jamaica, jamaican, 牙买加",
    "JO": "jordan, jordanian, 约旦",
    "JP": "japan, japanese, 日本",
    "KE": "kenya, kenyan, 肯尼亚",
    "KG": "kyrgyzstan, 吉尔吉斯斯坦",
    "KH": "cambodia, cambodian, 柬埔寨",
    "KR": "south korea, korea, korean, 韩国, 南韩",
    "KW": "kuwait, kuwaiti, 科威特",
    "KZ": "kazakhstan, kazakh, 哈萨克斯坦",
    "LA": "laos, lao, 老挝",
    "LB": "lebanon, lebanese, 黎巴嫩",
    "LK": "sri lanka, srilanka, 斯里兰卡",
    "LT": "lithuania, lithuanian, 立陶宛",
    "LU": "luxembourg, luxemburg, 卢森堡",
    "LV": "latvia, latvian, 拉脱维亚",
    "LY": "libya, 利比亚",
    "MA": "morocco, moroccan, 摩洛哥",
    "MD": "moldova, 摩尔多瓦",
    "ME": "montenegro, 黑山, 门的内哥罗",
    "MK": "north macedonia, macedonia, 北马其顿, 马其顿",
    "MM": "myanmar, burma, burmese, 缅甸",
    "MN": "mongolia, mongolian, 蒙古",
    "MO": "macau, macao, 澳门特区, 澳门",
    "MT": "malta, maltese, 马耳他",
    "MU": "mauritius, 毛里求斯",
    "MV": "maldives, 马尔代夫",
    "MX": "mexico, mexican, méxico, 墨西哥",
    "MY": "malaysia, malaysian, 马来西亚",
    "NG": "nigeria, nigerian, 尼日利亚",
    "NL": "netherlands, the netherlands, dutch, holland, nederland, 荷兰",
    "NO": "norway, norwegian, norge, 挪威",
    "NP": "nepal, nepalese, nepali, 尼泊尔",
    "NZ": "new zealand, newzealand, kiwi, 新西兰, 纽西兰",
    "OM": "oman, omani, 阿曼",
    "PA": "panama, 巴拿马",
    "PE": "peru, peruvian, perú, 秘鲁",
    "PG": "papua new guinea, png, 巴布亚新几内亚",
    "PH": "philippines, philippine, filipino, 菲律宾",
    "PK": "pakistan, pakistani, 巴基斯坦",
    "PL": "poland, polish, polska, 波兰",
    "PT": "portugal, portuguese, 葡萄牙",
    "PY": "paraguay, 巴拉圭",
    "QA": "qatar, qatari, 卡塔尔",
    "RO": "romania, romanian, 罗马尼亚",
    "RS": "serbia, serbian, 塞尔维亚",
    "RU": "russia, russian, russian federation, россия, рф, 俄罗斯, 俄国",
    "RW": "rwanda, 卢旺达",
    "SA": "saudi arabia, saudi, ksa, 沙特阿拉伯, 沙特, 沙乌地阿拉伯",
    "SD": "sudan, sudanese, 苏丹",
    "SE": "sweden, swedish, sverige, 瑞典",
    "SG": "singapore, singaporean, 新加坡",
    "SI": "slovenia, slovenian, 斯洛文尼亚",
    "SK": "slovakia, slovak, 斯洛伐克",
    "SN": "senegal, 塞内加尔",
    "SV": "el salvador, 萨尔瓦多",
    "SY": "syria, syrian, 叙利亚",
    "TH": "thailand, thai, 泰国",
    "TM": "turkmenistan, 土库曼斯坦",
    "TN": "tunisia, 突尼斯",
    "TR": "türkiye, turkiye, turkey, turkish, 土耳其",
    "TT": "trinidad and tobago, trinidad, 特立尼达和多巴哥",
    "TW": "taiwan, taiwanese, 台湾",
    "TZ": "tanzania, 坦桑尼亚",
    "UA": "ukraine, ukrainian, 乌克兰",
    "UG": "uganda, 乌干达",
    "US": "us, usa, united states of america, united states, america, american, the states, 美国",
    "UY": "uruguay, 乌拉圭",
    "UZ": "uzbekistan, 乌兹别克斯坦",
    "VE": "venezuela, 委内瑞拉",
    "VN": "vietnam, viet nam, vietnamese, 越南",
    "YE": "yemen, 也门",
    "ZA": "south africa, south african, rsa, 南非",
    "ZM": "zambia, 赞比亚",
    "ZW": "zimbabwe, 津巴布韦",
}
"""Country code → names of the country and its people."""

DOCUMENTS: Mapping[str, str] = {
    "passport": "passport, passports, 护照, passeport, pasaporte, passaporto, passaporte, reisepass, paspoort, "
    "paspor, паспорт, 여권, パスポート, 旅券",
    "visa": "visa, visas, evisa, e visa, evisas, 签证, visum, visto, visado, виза, 비자, ビザ, 査証",
    "id": "id, identity, identification, national id, 身份证, 身分证, ausweis, cédula, cedula",
    "driving licence": "driving licence, driver licence, drivers licence, driver s licence, 驾照, 驾驶证, 驾驶执照",
    "residence permit": "residence permit, residency permit, residence, residency, permanent resident, 居留证, "
    "居留卡, 居留许可",
    "exam": "exam, exams, examination, examinations, test, 考试, 报名",
    "child": "child, children, kid, kids, baby, babies, infant, infants, newborn, toddler, minor, 儿童, 婴儿, "
    "宝宝, 小孩, 孩子, 幼儿",
    "citizenship": "citizenship, naturalization, naturalisation, 入籍, 公民证",
}
"""Kind of document or applicant → its names."""

SOFT: Mapping[str, str] = {
    "online": "online, digital, electronic, upload, file, web, 网上, 在线, 线上, 电子照片, 电子照, 电子版, "
    "电子档, 电子, 数码照片",
    "id": "id photo, id photos, id picture, id pictures",
    "print": "print, printed, prints, paper, 纸质照片, 纸质相片, 纸质, 冲印, 打印",
}
"""Words that affect the order of documents but exclude none."""

STOP = (
    "photo, photos, photograph, photographs, picture, pictures, pic, pics, image, images, size, sizes, "
    "dimension, dimensions, requirement, requirements, spec, specs, specification, specifications, format, "
    "standard, template, passport size photo, passport sized photo, passport size photograph, passport sized, "
    "passport size, background, backdrop, color, colour, white, blue, red, grey, gray, plain, "
    "for, of, the, a, an, and, or, with, to, in, on, at, from, my, i, need, want, how, what, is, are, apply, "
    "application, applying, foto, de, para, la, el, "
    "照片, 证件照片, 证件照, 相片, 头像, 照, 尺寸, 大小, 规格, 要求, 标准, 底色, 背景色, 背景, 白底, 蓝底, "
    "红底, 灰底, 浅蓝底, 淡蓝底, 白色, 蓝色, 红色, 的, 办理, 申请, 申办, 制作, 拍摄, 拍照, 多大, 几寸, "
    "是多少, 怎么, 如何, 用, 换底, 我要, 办, 做, 最新, 写真, 사진"
)
"""Words that do not identify a document."""

CODES_THAT_ARE_WORDS = frozenset(
    ("am", "an", "at", "be", "by", "de", "do", "in", "is", "it", "la", "me", "my", "no", "so", "to")
)
"""Country codes that are also words. In lower case they count as words, unless they stand alone."""

_SIMPLIFIED = (
    "護护證证簽签國国學学駕驾駛驶執执電电藍蓝紅红歲岁臺台灣湾門门關关陸陆來来發发獨独聯联遠远東东亞亚歐欧貝贝"
    "內内爾尔維维馬马賓宾緬缅烏乌茲兹別别蘭兰奧奥臘腊羅罗愛爱韓韩濱滨倫伦頭头書书員员業业單单醫医師师藥药會会"
    "計计設设築筑試试題题級级處处務务職职習习實实驗验團团測测語语話话機机構构認认識识讀读寫写數数據据聲声雙双"
    "無无長长開开體体進进達达過过還还運运邊边鄉乡銀银錢钱雲云靜静頁页順顺須须領领額额類类顯显風风飛飞館馆麗丽"
    "黃黄點点齊齐龍龙吋寸兒儿嬰婴寶宝冊册網网線线張张條条紙纸質质標标準准規规製制辦办請请換换續续報报紐纽灣湾"
    "蘇苏薩萨盧卢葉叶門门麥麦華华聖圣萊莱壩坝納纳稅税徵征專专資资軟软軍军車车輛辆號号碼码檔档樣样樓楼戶户遷迁"
    "兩两個个對对應应當当時时間间現现場场義义從从與与為为們们動动務务區区廣广產产異异畢毕業业寶宝總总縣县約约"
    "經经結结統统綠绿緊紧"
)
SIMPLIFIED: Mapping[int, int] = str.maketrans(_SIMPLIFIED[::2], _SIMPLIFIED[1::2])
"""Traditional Chinese characters → simplified ones, for the characters in names of documents."""
