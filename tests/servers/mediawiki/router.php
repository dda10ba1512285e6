<?php
// For `php -S`: which script or file of MediaWiki answers a path.
$wiki = getenv( 'WIKI_ROOT' ) . '/w';
$path = rawurldecode( parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ) );
if ( preg_match( '#^/upload/(.+)$#', $path, $found ) && strpos( $path, '..' ) === false ) {
	$file = "$wiki/images/" . $found[1];
	if ( is_file( $file ) ) {
		$types = [ 'png' => 'image/png', 'jpg' => 'image/jpeg', 'gif' => 'image/gif', 'svg' => 'image/svg+xml' ];
		header( 'Content-Type: ' . $types[strtolower( pathinfo( $file, PATHINFO_EXTENSION ) )] );
		header( 'Content-Length: ' . filesize( $file ) );
		readfile( $file );
		return true;
	}
	$script = 'thumb_handler.php';
} elseif ( preg_match( '#^/w/(api|index)\.php$#', $path, $found ) ) {
	$script = $found[1] . '.php';
} else {
	http_response_code( 404 );
	return true;
}
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = "/w/$script";
$_SERVER['SCRIPT_FILENAME'] = "$wiki/$script";
chdir( $wiki );
require "$wiki/$script";
