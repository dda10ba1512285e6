
# What the tests' wiki has beyond its installer's settings. The address comes from the
# environment, so that one installation serves on any port.
$wgServer = getenv( 'WIKI_SERVER' );
$wgArticlePath = "/wiki/$1";
$wgUsePathInfo = true;
$wgEnableUploads = true;
$wgFileExtensions = [ 'png', 'gif', 'jpg', 'svg' ];
$wgUseImageMagick = false;                       # GD makes the thumbnails
$wgSVGConverter = 'rsvg';
$wgSVGConverterPath = '/usr/bin';
$wgMaxShellMemory = 0;
$wgMaxShellFileSize = 0;
$wgGenerateThumbnailOnParse = false;             # thumbnails are made on first GET, as at Wikimedia
$wgJobRunRate = 0;
$wgMainCacheType = CACHE_NONE;
$wgParserCacheType = CACHE_NONE;
$wgLocalFileRepo = [
	'class' => 'LocalRepo', 'name' => 'local', 'directory' => "$IP/images",
	'scriptDirUrl' => $wgScriptPath, 'url' => "$wgServer/upload",
	'hashLevels' => 2, 'transformVia404' => true, 'deletedDir' => "$IP/images/deleted",
];
$wgPageImagesAPIDefaultLicense = 'free';         # as at Wikipedia

# The number of further answers that find the database lagging stands in the file `lag`.
$wgHooks['ApiMaxLagInfo'][] = static function ( &$lag ) {
	$file = dirname( __DIR__ ) . '/lag';
	$left = is_file( $file ) ? (int)file_get_contents( $file ) : 0;
	if ( $left > 0 ) {
		file_put_contents( $file, $left - 1 );
		$lag = [ 'host' => 'db1', 'lag' => 12.5, 'type' => 'db' ];
	}
};

# In place of the extension CommonsMetadata: `|key=value` lines of a file's page.
$wgHooks['GetExtendedMetadata'][] = static function ( &$meta, $file, $context, $single, &$maxCache ) {
	$maxCache = 0;
	$services = MediaWiki\MediaWikiServices::getInstance();
	$content = $services->getWikiPageFactory()->newFromTitle( $file->getTitle() )->getContent();
	if ( $content && preg_match_all( '/^\|(\w+)=(.+)$/m', $content->getText(), $found, PREG_SET_ORDER ) ) {
		foreach ( $found as [ , $key, $value ] ) {
			$meta[$key] = [ 'value' => $value, 'source' => 'commons-desc-page' ];
		}
	}
};
