"""Passwords that everybody tries first: the common ones of eight characters and more, in lower case."""

from __future__ import annotations

_LIST = """
12345678 123456789 1234567890 12345678910 0123456789 0987654321 987654321 9876543210 87654321 11111111 00000000
111111111 1111111111 22222222 55555555 66666666 77777777 88888888 99999999 12341234 12344321 11223344 1122334455
112233445566 12121212 123123123 123321123 1234512345 12345679 147258369 159753159 123654789 741852963 789456123
10203040 01020304 password password1 password12 password123 password1234 password! password1! password2 passw0rd
p@ssw0rd p@ssword pa55word pa$$word passwords mypassword password01 password00 password99 password2024
password2025 password2026 passpass passwort contraseña motdepasse qwertyui qwertyuiop qwerty12 qwerty123
qwerty1234 qwerty12345 1qaz2wsx 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y q1w2e3r4 q1w2e3r4t5 qazwsxedc qazwsx123
zaq12wsx zaq1zaq1 asdfghjk asdfghjkl asdf1234 asdfasdf asdfqwer zxcvbnm1 zxcvbnm123 qweasdzxc 1234qwer 123qweasd
qwer1234 qweqweqwe aaaaaaaa abcd1234 abcdefgh abcdefghi abc12345 abcd12345 abc123456 abc123abc a1b2c3d4 a1234567
a12345678 a123456789 aa123456 aa12345678 aaa12345 iloveyou iloveyou1 iloveyou2 iloveyou123 loveyou1 ilovegod
iloveme1 iloveme2 trustno1 letmein1 letmein123 letmeinnow welcome1 welcome12 welcome123 welcome2024 welcome2025
welcome2026 changeme changeme1 changeme123 default1 administrator admin123 admin1234 admin12345 adminadmin
admin@123 root1234 toor1234 test1234 test12345 testtest testing1 testing123 guest123 guest1234 user1234 username
login123 master12 master123 superman superman1 batman123 spiderman starwars starwars1 pokemon1 pokemon123
football football1 baseball baseball1 basketball softball hockey12 soccer12 soccer123 princess princess1
sunshine sunshine1 sunflower butterfly dragon12 dragon123 monkey12 monkey123 michael1 michelle jennifer jessica1
jordan23 jordan123 charlie1 charlie123 liverpool liverpool1 chelsea1 arsenal1 manchester computer computer1
internet internet1 samsung1 samsung123 google123 facebook facebook1 whatever whatever1 freedom1 nothing1
secret12 secret123 secretpassword hello123 hello1234 helloworld hellohello goodluck godisgood blessed1 jesuschrist
jesus123 mustang1 corvette mercedes maverick midnight harley12 cocacola chocolate chocolate1 cheese12 cookie123
lovelove lover123 forever1 snoopy12 tinkerbell elephant dolphins rainbow1 diamond1 scorpion greenday metallica
slipknot nirvana1 blink182 eminem12 november december september october1 january1 february summer12 summer123
summer2024 summer2025 summer2026 winter12 winter123 winter2024 winter2025 winter2026 spring2024 spring2025
spring2026 autumn2024 autumn2025 autumn2026 monday12 friday13 minecraft minecraft1 fortnite fortnite1 roblox123
access14 q1w2e3r4t5y6 1a2b3c4d 1a2b3c4d5e 1g2w3e4r 3rjs1la7qe fuckyou1 fuckyou2 fuckyou123 bullshit asshole1
cambodia cambodia1 phnompenh khmer123 siemreap nimmit12 nimmit123 nimmitnimmit
"""

COMMON_PASSWORDS = frozenset(_LIST.split())
