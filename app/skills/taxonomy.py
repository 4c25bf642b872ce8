# ruff: noqa: E501  # a table reads best at one line a skill
"""The skills that Nimmit sells, by trade, with the other names that people call them by.

One line a skill: `slug | name | alias, alias, ...`. Names and aliases are matched as whole phrases, without regard
to case, hyphens, plurals or British spelling, so none of those variants is listed. A slug never changes once it is
in use: jobs and worker profiles hold it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SkillDefinition:
    """One skill: `category` is a key of `CATEGORIES`."""

    slug: str
    name: str
    category: str
    aliases: tuple[str, ...] = ()


CATEGORIES: dict[str, str] = {
    "design": "Graphic & brand design",
    "product-design": "UI, UX & product design",
    "writing": "Writing & editing",
    "translation": "Translation & languages",
    "web": "Websites & web development",
    "software": "Software, apps & automation",
    "data": "Data & analytics",
    "marketing": "Marketing & advertising",
    "ecommerce": "E-commerce",
    "media": "Video, audio & animation",
    "3d": "3D, CAD & architecture",
    "admin-support": "Admin & virtual assistance",
    "customer-support": "Customer support",
    "sales": "Sales & lead generation",
    "finance": "Finance & accounting",
    "business": "Business, people & operations",
}

_TABLE: dict[str, str] = {
    "design": """
graphic-design | Graphic design | graphic designer, graphics design, visual design, graphics
logo-design | Logo design | logo, logotype, logo designer, logo redesign, wordmark
brand-identity | Brand identity | branding, brand design, brand guidelines, brand guide, brand book, brand kit, rebrand, style guide, corporate identity
illustration | Illustration | digital illustration, hand drawn, line art, character design, children book illustration
print-design | Print design | flyer, brochure, leaflet, poster, business card, menu design, catalog design, trifold, pamphlet, postcard
packaging-design | Packaging design | packaging, label design, product label, box design, dieline
presentation-design | Presentation design | presentation, slide deck, pitch deck, powerpoint design, slide, investor deck, keynote presentation
infographics | Infographics | infographic design
social-media-design | Social media design | social media graphics, social media post design, instagram post design, instagram template, story template, social media template
banner-design | Banner & ad design | banner, banner ad, ad creative, display ad, ad design, thumbnail, youtube thumbnail, billboard, cover image
book-cover-design | Book cover design | book cover, ebook cover, album cover
layout-design | Layout & typesetting | typesetting, book layout, magazine layout, page layout, ebook formatting, ebook layout, book formatting, magazine design
t-shirt-design | T-shirt & merchandise design | t shirt, tshirt design, merch design, apparel design, merchandise design
photo-editing | Photo editing | photo retouching, image editing, retouching, background removal, photo manipulation, color correction, image retouching, clipping path, remove background, photo restoration
photography | Photography | photographer, product photography, photo shoot
vector-design | Vector graphics | vector, vectorize, vector tracing, svg, vector illustration
icon-design | Icon design | icon set, icon
adobe-photoshop | Adobe Photoshop | photoshop, psd
adobe-illustrator | Adobe Illustrator | illustrator, ai file
adobe-indesign | Adobe InDesign | indesign
canva | Canva | canva template, canva design
coreldraw | CorelDRAW | corel draw
fashion-design | Fashion design | fashion designer, tech pack, textile design, pattern making
""",
    "product-design": """
ui-design | UI design | user interface design, user interface, ui ux design, ui ux, ux ui, ui designer, interface design, app design, screen design
ux-design | UX design | user experience, user experience design, ux designer, ux
wireframing | Wireframing | wireframe, mockup, low fidelity
prototyping | Prototyping | prototype, clickable prototype, interactive prototype
user-research | User research | ux research, usability testing, user testing, user interview, usability study
web-design | Web design | website design, web page design, landing page design, website redesign, web designer, homepage design, website mockup
mobile-app-design | Mobile app design | app ui, mobile ui, app screen, ios app design
figma | Figma | figma design, figma file
adobe-xd | Adobe XD |
sketch | Sketch | sketch app
design-systems | Design systems | design system, component library
""",
    "writing": """
content-writing | Content writing | content writer, writer, web content, website content, content creation, freelance writer
blog-writing | Blog writing | blog post, blog article, blog, blogger, blogging
article-writing | Article writing | article, guest post, feature article
copywriting | Copywriting | copywriter, sales copy, ad copy, website copy, web copy, landing page copy, marketing copy, tagline, slogan, brand voice
seo-writing | SEO writing | seo article, seo content, seo copywriting, seo blog, keyword optimized article
technical-writing | Technical writing | technical writer, user manual, documentation, user guide, technical documentation, api documentation, help article, standard operating procedure, sop
creative-writing | Creative writing | short story, fiction, storytelling, poem, novel, children story
ghostwriting | Ghostwriting | ghost writer, ghostwriter, memoir, autobiography
ebook-writing | E-book writing | ebook, book writing, white paper, whitepaper, lead magnet
scriptwriting | Scriptwriting | script writing, video script, screenplay, screenwriting, scriptwriter, youtube script, podcast script
editing | Editing | editor, copy editing, copyediting, line editing, developmental editing, content editing
proofreading | Proofreading | proofreader, proof reading, grammar check, spelling and grammar
product-descriptions | Product descriptions | product description, product copy, listing copy
email-copywriting | Email copywriting | email copy, email sequence, newsletter writing, cold email copy
resume-writing | Resume & cover letters | resume, cv writing, cover letter, curriculum vitae, linkedin profile writing
academic-writing | Academic & research writing | academic writing, research paper, essay, thesis, dissertation, literature review, research paper writing, scientific writing
grant-writing | Grant & proposal writing | grant writing, grant proposal, proposal writing, business proposal, rfp, grant application
press-release | Press releases | press release writing, press release, media release
report-writing | Report writing | report, written report, business report, business writing
ux-writing | UX writing | microcopy, ui copy
social-media-copy | Social media captions | caption writing, caption, social media copy, tweet
""",
    "translation": """
translation | Translation | translator, translate, translating, document translation, website translation, native translator
localization | Localization | software localization, app localization, website localization, localizing
interpreting | Interpreting | interpreter, live interpretation, simultaneous interpretation
subtitling | Subtitling & captions | subtitle, closed caption, captioning, srt
transcription | Transcription | transcribe, transcript, transcriber, audio transcription, transcriptionist, transcribing
english | English | english language, native english, english speaker, fluent english
khmer | Khmer | cambodian language, khmer language
spanish | Spanish | castilian, espanol
french | French | francais
german | German | deutsch
portuguese | Portuguese | brazilian portuguese
italian | Italian | italiano
dutch | Dutch |
arabic | Arabic |
chinese | Chinese | mandarin, simplified chinese, traditional chinese, cantonese
japanese | Japanese |
korean | Korean |
vietnamese | Vietnamese |
thai | Thai |
russian | Russian |
hindi | Hindi |
""",
    "web": """
web-development | Web development | web developer, website development, website developer, web dev, build a website, website builder, website, web site
front-end-development | Front-end development | frontend developer, front end developer, front end, frontend, ui developer
back-end-development | Back-end development | backend developer, back end developer, back end, backend, server side
full-stack-development | Full-stack development | full stack developer, full stack, mern stack, mean stack, lamp stack
html | HTML | html5
css | CSS | css3, sass, scss, tailwind, tailwind css, bootstrap, stylesheet, html css
javascript | JavaScript | js, ecmascript, es6, vanilla js, jquery, ajax
typescript | TypeScript |
react | React | react.js, reactjs, redux
nextjs | Next.js | nextjs, next js
vue | Vue.js | vuejs, vue, nuxt, nuxt.js
angular | Angular | angularjs, angular.js
svelte | Svelte | sveltekit
nodejs | Node.js | nodejs, node js, express.js, expressjs, nestjs
php | PHP | symfony, codeigniter
laravel | Laravel |
wordpress | WordPress | word press, wp, elementor, divi, gutenberg, wordpress theme, wordpress plugin, wpbakery
webflow | Webflow |
wix | Wix |
squarespace | Squarespace | square space
landing-pages | Landing pages | landing page, sales page, squeeze page, opt in page, clickfunnels, funnel page
website-maintenance | Website maintenance | site maintenance, website update, bug fix, website fix, fix bug, broken link, website migration
web-hosting | Web hosting & domains | web hosting, domain name, dns, cpanel, domain setup, ssl certificate
web-performance | Web performance | page speed, site speed, core web vitals, speed optimization, pagespeed
web-accessibility | Web accessibility | wcag, ada compliance, accessibility audit
""",
    "software": """
software-development | Software development | software developer, software engineer, software engineering, programmer, programming, coding, coder, custom software, desktop application
mobile-development | Mobile app development | mobile app, app development, app developer, mobile application, mobile developer, iphone app, mobile app development
ios-development | iOS development | ios, ios app, ios developer, app store, swiftui, xcode, objective c
android-development | Android development | android, android app, android developer, android studio, google play, play store
swift | Swift |
kotlin | Kotlin |
flutter | Flutter | dart flutter
react-native | React Native | reactnative, expo app
python | Python | python3, python script, python developer, python programming, jupyter, jupyter notebook, py script
django | Django |
flask | Flask |
fastapi | FastAPI |
java | Java | spring boot, j2ee, java developer
csharp | C# | c sharp, .net, dotnet, asp.net, .net core, vb.net
cpp | C++ | cpp, c plus plus
c | C | c programming, c language
go | Go | golang, go language
rust | Rust | rust language, rustlang
ruby | Ruby on Rails | ruby, rails, ror
scala | Scala |
vba | VBA & macros | vba, excel vba, excel macro, macro, visual basic
bash | Shell scripting | bash, shell script, powershell, bash script
api-integration | API integration | api, rest api, api development, restful api, web service, webhook, graphql, third party integration
databases | Databases | database, database design, database administration, dba, nosql, relational database, database development
mongodb | MongoDB | mongo db, mongoose
postgresql | PostgreSQL | postgres
mysql | MySQL | mariadb
oracle-database | Oracle Database | pl sql, plsql, oracle db, oracle sql, oracle
firebase | Firebase | firestore, supabase
aws | Amazon Web Services | aws, aws lambda, ec2, amazon s3, cloudfront
azure | Microsoft Azure | azure, azure devops, azure function
google-cloud | Google Cloud | gcp, google cloud platform
devops | DevOps | ci cd, continuous integration, kubernetes, docker, terraform, github actions, jenkins, site reliability
linux | Linux administration | linux, ubuntu, debian, centos, server administration, sysadmin, system administration, vps
cybersecurity | Cybersecurity | cyber security, penetration testing, pentest, information security, vulnerability assessment, malware removal, security audit
qa-testing | QA & testing | quality assurance, software testing, manual testing, test case, test plan, qa tester, bug report, testing, tester
test-automation | Test automation | selenium, automated testing, cypress, playwright, unit test, automation testing
automation | Workflow automation | automation, automate, zapier, make.com, n8n, integromat, power automate, microsoft power automate, business process automation, workflow automation, rpa, uipath
chatbots | Chatbots | chatbot, chat bot, telegram bot, discord bot, dialogflow, whatsapp bot, conversational ai
artificial-intelligence | Artificial intelligence | ai, generative ai, openai, openai api, ai agent, ai model, langchain, ai developer, ai integration
prompt-engineering | Prompt engineering | chatgpt, prompt writing, prompt engineer, llm, large language model, midjourney, claude ai
blockchain | Blockchain | solidity, smart contract, web3, ethereum, nft, defi
game-development | Game development | game developer, unity3d, unity game, unreal engine, roblox, godot, unity 3d
embedded-systems | Embedded systems & IoT | arduino, raspberry pi, firmware, embedded software, iot, microcontroller, pcb design
google-apps-script | Google Apps Script | apps script, google script, google sheets automation, google sheet automation
no-code | No-code apps | no code, bubble.io, low code, airtable, glide app, softr, power apps, powerapps, retool
salesforce-development | Salesforce development | apex salesforce, salesforce developer, salesforce lightning, visualforce
""",
    "data": """
data-analysis | Data analysis | data analyst, data analytics, analytics, analyze data, data interpretation, analysis of data, exploratory data analysis, statistical report, data insight, quantitative analysis
data-visualization | Data visualization | data visualisation, dataviz, data viz, chart, graph, visualize data, interactive chart, visualization, plotly, d3.js, data storytelling, matplotlib, seaborn
dashboards | Dashboards | dashboard, dashboard design, dashboard development, kpi dashboard, reporting dashboard, executive dashboard
business-intelligence | Business intelligence | bi, bi developer, bi analyst, bi tool, business intelligence analyst, bi dashboard, bi report
reporting | Reporting & KPIs | kpi, kpi report, reporting, performance report, monthly report, weekly report, automated report, kpi metric, management report
data-science | Data science | data scientist
machine-learning | Machine learning | ml model, ml, scikit learn, sklearn, xgboost, ml engineer, random forest, decision tree, classification model
deep-learning | Deep learning | neural network, tensorflow, pytorch, keras, artificial neural network
computer-vision | Computer vision | opencv, object detection, image recognition, image classification, ocr, yolo
nlp | Natural language processing | nlp, text mining, sentiment analysis, text classification, named entity recognition, text analytics
predictive-analytics | Predictive analytics | predictive model, predictive modeling, forecasting model, forecast, forecasting, time series, demand forecasting
statistics | Statistics | statistical analysis, statistician, statistical, statistical model, biostatistics, anova, statistical test, t test, statistical modeling, descriptive statistics
regression-analysis | Regression analysis | linear regression, logistic regression, regression, regression model, multivariate analysis
ab-testing | A/B testing | a b testing, a b test, split test, split testing, hypothesis testing, experimentation
sql | SQL | sql query, sql server, t sql, tsql, ms sql, mssql, sql developer, query development, query optimization, query writing, sql database
r | R | r programming, r studio, rstudio, r language, ggplot2, ggplot, tidyverse, dplyr, r shiny
pandas | pandas | numpy, pandas dataframe
spss | SPSS | ibm spss
sas | SAS | sas programming
stata | Stata |
matlab | MATLAB | simulink
microsoft-excel | Microsoft Excel | excel, ms excel, excel spreadsheet, excel sheet, excel formula, pivot table, vlookup, xlookup, xlsx, excel file, advanced excel
google-sheets | Google Sheets | google sheet, google spreadsheet, gsheet
spreadsheets | Spreadsheets | spreadsheet, spread sheet, spreadsheet model
power-query | Power Query & Power Pivot | power query, power pivot, powerpivot, m language
power-bi | Microsoft Power BI | power bi, powerbi, dax, power bi dashboard, power bi report, power bi developer, power bi desktop, microsoft power bi data visualization, microsoft power bi development
tableau | Tableau | tableau dashboard, tableau developer, tableau desktop, tableau server, tableau public
looker-studio | Looker Studio | google data studio, data studio, looker, lookml, looker data studio, google looker
qlik | Qlik | qlikview, qlik sense, qliksense
metabase | Metabase & Superset | metabase, superset, apache superset, redash, grafana
google-analytics | Google Analytics | ga4, google analytics 4, ga 4, web analytics, website analytics, universal analytics
google-tag-manager | Google Tag Manager | gtm, tag manager, conversion tracking, event tracking, tag setup
product-analytics | Product analytics | mixpanel, amplitude, user analytics, heap analytics, posthog, cohort analysis, funnel analysis, user behavior analysis
marketing-analytics | Marketing analytics | campaign analytics, campaign reporting, attribution model, marketing attribution, marketing data, campaign performance, growth analytics, marketing report
sales-analytics | Sales analytics | sales analysis, sales data, sales report, sales performance, sales forecast
data-modeling | Data modeling | data model, data modelling, star schema, dimensional modeling, entity relationship, schema design
data-engineering | Data engineering | data engineer, etl, data pipeline, elt, etl pipeline, airflow, dbt, databricks, apache spark, pyspark, data integration, kafka
data-warehousing | Data warehousing | data warehouse, snowflake, bigquery, big query, redshift, google bigquery, data lake, ssas, ssis, olap
big-data | Big data | hadoop, hive, large dataset, large data set, large scale data
data-mining | Data mining | pattern discovery
web-scraping | Web scraping | scrape, scraping, scraper, data scraping, data extraction, web scraper, web crawler, crawler, beautifulsoup, scrapy, extract data, screen scraping
data-cleaning | Data cleaning | clean data, data cleansing, data wrangling, clean up data, deduplication, data preparation, data quality, data validation, data cleanup
data-processing | Data processing | process data, data manipulation, data transformation, data conversion, data migration
data-annotation | Data annotation | data labeling, image annotation, labelling data, annotation, bounding box, image labeling
financial-modeling | Financial modeling | financial model, financial projection, valuation model, business valuation, discounted cash flow, dcf
gis | GIS & mapping | arcgis, qgis, geospatial, spatial analysis, gis analyst, digital mapping, mapbox, cartography, geographic information system
survey-design | Surveys & questionnaires | survey, questionnaire, survey monkey, surveymonkey, qualtrics, survey data, survey design, google form, typeform
""",
    "marketing": """
digital-marketing | Digital marketing | online marketing, internet marketing, digital marketer, digital marketing specialist, marketing, marketer, growth marketing, growth hacking
marketing-strategy | Marketing strategy | marketing plan, go to market, brand strategy, marketing consultant, marketing strategist, content strategy, campaign planning
seo | SEO | search engine optimization, seo specialist, seo expert, seo audit, technical seo, local seo, on page seo, off page seo, google ranking, organic traffic, seo optimization
keyword-research | Keyword research | keyword analysis, ahrefs, semrush, keyword list
link-building | Link building | backlink, guest posting, link outreach, outreach link
ppc-advertising | PPC advertising | ppc, pay per click, sem, search engine marketing, paid search, paid advertising, media buying, paid media, ppc campaign, paid ad, ad campaign, mobile advertising, ppc campaign setup management
google-ads | Google Ads | adwords, google adwords, google ad, google ads campaign, performance max, google shopping ad
facebook-ads | Facebook & Instagram ads | facebook ad, facebook advertising, meta ad, instagram ad, facebook ads manager, meta business suite, facebook pixel
linkedin-ads | LinkedIn ads | linkedin advertising, linkedin ad
tiktok-marketing | TikTok marketing | tiktok, tik tok, tiktok ad
youtube-marketing | YouTube management | youtube channel, youtube seo, youtube marketing, youtube manager, youtube
social-media-marketing | Social media marketing | smm, social media campaign, social media strategy, social media marketer, social media advertising, social media
social-media-management | Social media management | social media manager, social media scheduling, community management, social media account, content calendar, hootsuite, social media page, social media content, buffer scheduling
instagram | Instagram | instagram page, instagram account, instagram growth, instagram reel, instagram marketing
facebook | Facebook | facebook page, facebook group, facebook marketing
linkedin | LinkedIn | linkedin marketing, linkedin page, linkedin content
pinterest | Pinterest | pinterest marketing, pinterest pin
influencer-marketing | Influencer marketing | influencer, influencer outreach, creator outreach, ugc, user generated content, brand ambassador
email-marketing | Email marketing | email campaign, newsletter, klaviyo, mailchimp, email automation, drip campaign, activecampaign, email template, convertkit, email flow, email design, mailerlite
marketing-automation | Marketing automation | marketo, pardot, gohighlevel, go high level, highlevel, customer journey automation
conversion-optimization | Conversion rate optimization | cro, conversion rate, conversion optimization, visual website optimizer, optimizely, hotjar
affiliate-marketing | Affiliate marketing | affiliate program, affiliate
public-relations | Public relations | pr campaign, media relations, media outreach, publicity, pr specialist
market-research | Market research | market analysis, market study, industry research, consumer research, market sizing, market trend, industry analysis, marketing research, market analyst
competitor-analysis | Competitor analysis | competitive analysis, competitor research, competitive research, competitive intelligence, competitor benchmarking
app-store-optimization | App store optimization | aso, app store listing
sms-marketing | SMS marketing | text message marketing, sms campaign
event-marketing | Events & webinars | webinar, event planning, event promotion, event management, event coordination
""",
    "ecommerce": """
ecommerce | E-commerce | ecommerce, e commerce, online store, online shop, ecommerce store, ecommerce website, web shop, webshop
shopify | Shopify | shopify store, shopify theme, shopify developer, liquid template, shopify app
woocommerce | WooCommerce | woo commerce
magento | Magento | adobe commerce, prestashop, opencart, bigcommerce
amazon-seller | Amazon marketplace | amazon fba, amazon seller central, seller central, amazon listing, amazon store, fba, amazon seller, amazon ppc, amazon product listing, amazon a plus content
ebay | eBay | ebay listing, ebay store
etsy | Etsy | etsy shop, etsy listing, etsy store
product-listing | Product listing & upload | product listing, product upload, listing optimization, product entry, product catalog, add product, upload product, listing creation
dropshipping | Dropshipping | drop shipping, dropship, print on demand
product-research | Product research & sourcing | product sourcing, winning product, supplier research, supplier sourcing, alibaba
order-management | Order & inventory management | order processing, order fulfillment, inventory management, stock management, inventory, returns processing
""",
    "media": """
video-editing | Video editing | video editor, edit video, video edit, edit a video, video post production, vlog editing, reel editing, youtube editing, youtube video editing, footage, short form video, talking head video, reel
video-production | Video production | videographer, videography, promotional video, explainer video, product video, corporate video, promo video, commercial video, testimonial video, video ad
motion-graphics | Motion graphics | motion design, motion designer, animated graphic, lower third, kinetic typography, logo animation, animated logo, video intro
animation-2d | 2D animation | animation, animator, animated video, whiteboard animation, cartoon, character animation, gif, lottie animation, animated explainer
animation-3d | 3D animation | 3d animator, 3d motion, 3d animated, cgi
adobe-premiere | Adobe Premiere Pro | premiere pro, premiere, adobe premiere
after-effects | Adobe After Effects | after effects, aftereffects
davinci-resolve | DaVinci Resolve | davinci, color grading
final-cut | Final Cut Pro | final cut, fcpx
capcut | CapCut |
audio-editing | Audio editing | audio editor, sound editing, audio cleanup, noise reduction, audacity, audio mixing, mastering, mixing and mastering, adobe audition, audio post production
podcast-production | Podcast production | podcast editing, podcast editor, podcast, podcast episode, show notes
voice-over | Voice-over | voiceover, voice over artist, narration, narrator, voice actor, voice talent, voice acting, audiobook
music-production | Music production | music composition, composer, jingle, background music, beat making, song writing, music producer, sound design, sound effect
live-streaming | Live streaming | livestream, obs studio, twitch, live stream
""",
    "3d": """
3d-modeling | 3D modeling | 3d model, 3d modeler, 3d artist, zbrush, 3d design, 3d printing, stl file, 3d asset
3d-rendering | 3D rendering | 3d render, product rendering, photorealistic rendering, 3d visualization, rendering, architectural rendering, archviz
blender | Blender |
autocad | AutoCAD | auto cad, cad, cad drawing, cad drafting, dwg, drafting, technical drawing, cad designer
sketchup | SketchUp | sketch up
solidworks | SolidWorks | solid works, fusion 360, inventor cad, mechanical design, product engineering
revit | Revit & BIM | revit, bim, bim modeling
floor-plans | Floor plans | floor plan, site plan, 2d plan, house plan
architecture | Architecture | architect, architectural design, architectural drawing, building design, landscape design
interior-design | Interior design | interior designer, room design, home staging, mood board, moodboard
""",
    "admin-support": """
virtual-assistance | Virtual assistance | virtual assistant, va, personal assistant, executive assistant, remote assistant, executive assistance, administrative assistant
administrative-support | Administrative support | admin support, admin, admin task, administrative task, office administration, clerical, back office, administration, admin assistant, administrative
data-entry | Data entry | data entry operator, data encoding, typing, typist, copy paste, copy and paste, data input, enter data, data entry specialist, retype
web-research | Web research | internet research, online research, desk research, company research, fact checking, research assistant, research, contact research
email-management | Email management | inbox, inbox management, inbox zero, email inbox, manage inbox, email handling
calendar-management | Calendar & scheduling | calendar management, scheduling, appointment scheduling, calendar, calendly, schedule meeting, appointment booking, meeting scheduling
travel-planning | Travel planning | travel booking, itinerary, flight booking, travel arrangement, trip planning, hotel booking
file-management | File & document management | file organization, document management, google drive organization, filing, document organization, sharepoint, organize files
document-formatting | Document formatting | document conversion, word formatting, format document, pdf conversion, pdf to word, fillable pdf, fillable form, word template, pdf form, document template
microsoft-word | Microsoft Word | word, ms word, word document, docx, word doc
powerpoint | Microsoft PowerPoint | powerpoint, ms powerpoint, pptx, ppt, powerpoint presentation
microsoft-office | Microsoft Office | ms office, office 365, microsoft 365, office suite
google-workspace | Google Workspace | g suite, gsuite, google docs, google doc, google drive, google slide, google calendar
microsoft-access | Microsoft Access | ms access, access database
notion | Notion | notion template, notion workspace
project-management | Project management | project manager, trello, asana, clickup, monday.com, jira, project coordinator, project coordination, project planning, scrum, scrum master, agile, project plan, agile software development
list-building | List building | contact list, prospect list, email list building, lead list, build a list, email list, mailing list
bookkeeping-admin | Invoicing & expenses | invoicing, invoice, expense report, expense tracking, receipt, invoice processing
meeting-notes | Meeting notes & minutes | meeting minute, meeting note, minute taking, note taking
""",
    "customer-support": """
customer-service | Customer service | customer support, customer service representative, customer care, customer inquiry, help desk, helpdesk, support agent, customer representative
chat-support | Chat support | live chat, chat agent, chat support agent, intercom chat
email-support | Email support | email ticket, support ticket, ticketing, zendesk, freshdesk, gorgias, email response
phone-support | Phone support | call center, inbound call, call handling, answering call, telephone support, receptionist, call agent
technical-support | Technical support | tech support, it support, troubleshooting, it helpdesk, desktop support
customer-success | Customer success | customer onboarding, client onboarding, customer retention, client success
content-moderation | Content moderation | moderator, forum moderation, discord moderation, comment moderation, community moderator
""",
    "sales": """
lead-generation | Lead generation | lead gen, generate lead, b2b lead, lead research, prospecting, sales lead, qualified lead, linkedin lead generation
cold-calling | Cold calling | cold call, cold caller, telemarketing, outbound call, telesales, outbound calling
cold-email | Cold email outreach | cold email, email outreach, outreach campaign, outreach, instantly.ai, lemlist, apollo.io
appointment-setting | Appointment setting | appointment setter, book appointment, set appointment
linkedin-outreach | LinkedIn outreach | sales navigator, linkedin sales navigator, linkedin prospecting, linkedin lead
sales | Sales | sales representative, sales rep, sales closer, b2b sales, salesperson, inside sales, sales development, business development, sdr
crm | CRM administration | crm, crm management, pipedrive, zoho crm, crm software, crm setup, zoho, customer relationship management
hubspot | HubSpot | hubspot crm, hub spot
salesforce | Salesforce | salesforce crm, salesforce admin, salesforce administrator
""",
    "finance": """
bookkeeping | Bookkeeping | bookkeeper, book keeping, bank reconciliation, reconciliation, general ledger, month end close, account reconciliation
accounting | Accounting | accountant, accounting basics, financial statement, balance sheet, profit and loss, cpa
quickbooks | QuickBooks | quick books, quickbooks online, qbo
xero | Xero |
payroll | Payroll | payroll processing, gusto, payslip
tax-preparation | Tax preparation | tax return, tax filing, tax accountant, taxation, income tax, vat return, sales tax
accounts-payable | Accounts payable & receivable | accounts receivable, account payable, bill payment, ap ar
financial-analysis | Financial analysis | financial analyst, financial report, financial reporting, financial data, ratio analysis, finance analyst, investment analysis, financial research, equity research
budgeting | Budgeting & forecasting | budget planning, financial planning, cash flow forecast, budget template, budgeting, fp a
cryptocurrency | Cryptocurrency & trading | crypto, bitcoin, trading strategy, tradingview, forex, algorithmic trading, pine script
""",
    "business": """
business-analysis | Business analysis | business analyst, requirements analysis, requirement analysis, requirements gathering, process mapping, user story, business requirement, process analysis, stakeholder management
business-planning | Business planning | business plan, business model, business strategy, feasibility study, startup consulting, business consulting, business consultant, strategy consulting
human-resources | Human resources | hr, human resource, hr policy, employee handbook, employee onboarding, hr manager
recruiting | Recruiting | recruiter, recruitment, talent acquisition, candidate sourcing, candidate screening, headhunting, job posting, sourcing candidate, resume screening
operations-management | Operations management | operations manager, process improvement, six sigma, supply chain, logistics, business operations, operations analytics, lean consulting, lean manufacturing, process optimization, business process
legal-research | Legal & paralegal | paralegal, legal research, legal writing, contract drafting, contract review, legal document, privacy policy, terms of service, legal assistant
training-development | Training & course creation | course creation, instructional design, online course, elearning, e learning, training material, curriculum development, lesson plan, training manual, workbook, articulate storyline
tutoring | Tutoring & teaching | tutor, teacher, teaching
real-estate | Real estate support | real estate, property management, mls listing, real estate listing, real estate appraisal, realtor, property research
medical-admin | Medical administration | medical billing, medical coding, medical transcription, medical assistant, insurance verification, ehr
""",
}


def _read(category: str, table: str) -> list[SkillDefinition]:
    skills = []
    for line in filter(None, (row.strip() for row in table.splitlines())):
        slug, name, aliases = (cell.strip() for cell in line.split("|"))
        names = tuple(alias.strip() for alias in aliases.split(",") if alias.strip())
        skills.append(SkillDefinition(slug=slug, name=name, category=category, aliases=names))
    return skills


SKILLS: tuple[SkillDefinition, ...] = tuple(
    skill for category, table in _TABLE.items() for skill in _read(category, table)
)
BY_SLUG: dict[str, SkillDefinition] = {skill.slug: skill for skill in SKILLS}
