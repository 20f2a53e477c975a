"""Countries with their capitals and continents; a slash separates accepted names."""

from __future__ import annotations

_TABLE = """
Kenya|Nairobi|Africa
Egypt|Cairo|Africa
Morocco|Rabat|Africa
Algeria|Algiers|Africa
Tunisia|Tunis|Africa
Libya|Tripoli|Africa
Sudan|Khartoum|Africa
Ethiopia|Addis Ababa|Africa
Somalia|Mogadishu|Africa
Uganda|Kampala|Africa
Rwanda|Kigali|Africa
Ghana|Accra|Africa
Senegal|Dakar|Africa
Mali|Bamako|Africa
Niger|Niamey|Africa
Chad|N'Djamena/Ndjamena|Africa
Nigeria|Abuja|Africa
Cameroon|Yaoundé/Yaounde|Africa
Angola|Luanda|Africa
Zambia|Lusaka|Africa
Zimbabwe|Harare|Africa
Mozambique|Maputo|Africa
Madagascar|Antananarivo|Africa
Namibia|Windhoek|Africa
Botswana|Gaborone|Africa
Liberia|Monrovia|Africa
Sierra Leone|Freetown|Africa
Togo|Lomé/Lome|Africa
Gabon|Libreville|Africa
Malawi|Lilongwe|Africa
Eritrea|Asmara|Africa
Burkina Faso|Ouagadougou|Africa
Mauritania|Nouakchott|Africa
France|Paris|Europe
Germany|Berlin|Europe
Italy|Rome|Europe
Spain|Madrid|Europe
Portugal|Lisbon|Europe
Ireland|Dublin|Europe
Belgium|Brussels|Europe
Austria|Vienna|Europe
Switzerland|Bern/Berne|Europe
Poland|Warsaw|Europe
Hungary|Budapest|Europe
Romania|Bucharest|Europe
Bulgaria|Sofia|Europe
Greece|Athens|Europe
Albania|Tirana|Europe
Serbia|Belgrade|Europe
Croatia|Zagreb|Europe
Slovenia|Ljubljana|Europe
Slovakia|Bratislava|Europe
Norway|Oslo|Europe
Sweden|Stockholm|Europe
Finland|Helsinki|Europe
Denmark|Copenhagen|Europe
Iceland|Reykjavik/Reykjavík|Europe
Estonia|Tallinn|Europe
Latvia|Riga|Europe
Lithuania|Vilnius|Europe
Ukraine|Kyiv/Kiev|Europe
Belarus|Minsk|Europe
Malta|Valletta|Europe
Moldova|Chisinau/Chișinău|Europe
Montenegro|Podgorica|Europe
North Macedonia|Skopje|Europe
Liechtenstein|Vaduz|Europe
China|Beijing/Peking|Asia
Japan|Tokyo|Asia
India|New Delhi/Delhi|Asia
Pakistan|Islamabad|Asia
Nepal|Kathmandu|Asia
Bhutan|Thimphu|Asia
Bangladesh|Dhaka|Asia
Thailand|Bangkok|Asia
Vietnam|Hanoi|Asia
Laos|Vientiane|Asia
Cambodia|Phnom Penh|Asia
Malaysia|Kuala Lumpur|Asia
the Philippines|Manila|Asia
South Korea|Seoul|Asia
North Korea|Pyongyang|Asia
Mongolia|Ulaanbaatar/Ulan Bator|Asia
Iran|Tehran/Teheran|Asia
Iraq|Baghdad|Asia
Syria|Damascus|Asia
Lebanon|Beirut|Asia
Jordan|Amman|Asia
Saudi Arabia|Riyadh|Asia
Qatar|Doha|Asia
Bahrain|Manama|Asia
Oman|Muscat|Asia
Yemen|Sanaa/Sana'a|Asia
Afghanistan|Kabul|Asia
Uzbekistan|Tashkent|Asia
Tajikistan|Dushanbe|Asia
Turkmenistan|Ashgabat|Asia
Kyrgyzstan|Bishkek|Asia
Canada|Ottawa|North America
Cuba|Havana|North America
Jamaica|Kingston|North America
Haiti|Port-au-Prince|North America
Honduras|Tegucigalpa|North America
Nicaragua|Managua|North America
El Salvador|San Salvador|North America
the Bahamas|Nassau|North America
Barbados|Bridgetown|North America
Brazil|Brasilia/Brasília|South America
Argentina|Buenos Aires|South America
Chile|Santiago|South America
Peru|Lima|South America
Colombia|Bogotá/Bogota|South America
Venezuela|Caracas|South America
Ecuador|Quito|South America
Uruguay|Montevideo|South America
Paraguay|Asunción/Asuncion|South America
Suriname|Paramaribo|South America
Australia|Canberra|Oceania
New Zealand|Wellington|Oceania
Fiji|Suva|Oceania
Samoa|Apia|Oceania
Papua New Guinea|Port Moresby|Oceania
"""

_ROWS = [row.split("|") for row in _TABLE.split("\n") if row]
CAPITALS: dict[str, tuple[str, ...]] = {row[0]: tuple(row[1].split("/")) for row in _ROWS}
CONTINENTS: dict[str, str] = {row[0]: row[2] for row in _ROWS}
EVERY_CONTINENT = ("Africa", "Europe", "Asia", "North America", "South America", "Oceania")
# What may be said of a country of Oceania.
CONTINENT_NAMES: dict[str, tuple[str, ...]] = {
    one: (one, "Australia") if one == "Oceania" else (one,) for one in EVERY_CONTINENT
}
