<?php

// Runs the plugin's caller of 'octonas' with another program in its place, without OpenMediaVault: helper.php PROGRAM DIRECTORY

namespace OMV {
    class Exception extends \Exception
    {
        public function __construct()
        {
            $args = func_get_args();
            parent::__construct(vsprintf(array_shift($args), $args));
        }
    }

    class HttpErrorException extends Exception
    {
        public $httpStatusCode;

        public function __construct()
        {
            $args = func_get_args();
            $this->httpStatusCode = array_shift($args);
            parent::__construct(...$args);
        }
    }

    class Environment
    {
        public static function get($name, $default)
        {
            return $name === "OMV_OCTONAS_I18N_DIR" ? $GLOBALS['argv'][3] : $GLOBALS['argv'][1];
        }
    }
}

namespace {
    define("OMV_ROLE_ADMINISTRATOR", 1);
    foreach (["exception", "helper", "locale", "outcome", "text"] as $name) {
        require_once sprintf("%s/%s.inc", $argv[2], $name);
    }
    $context = ["username" => "alice", "role" => 2];
    $lines = [];
    $helper = new \OMV\Octonas\Helper("tell", ["code" => "$(id) 100% 'R&D' <b>"], $context);
    $request = $helper->call(function ($progress) use (&$lines) {
        $lines[] = \OMV\Octonas\Text::progress($progress, new \OMV\Octonas\Locale());
    });
    try {
        (new \OMV\Octonas\Helper("fail", [], $context))->call();
    } catch (\OMV\Octonas\Exception $e) {
        $error = [$e->getMessage(), $e->httpStatusCode];
    }
    $french = new \OMV\Octonas\Locale("fr");
    try {
        (new \OMV\Octonas\Helper("fail", [], $context, $french))->call();
    } catch (\OMV\Octonas\Exception $e) {
        $erreur = $e->getMessage();
    }
    $other = new \OMV\Octonas\Locale("../../etc/passwd");
    try {
        (new \OMV\Octonas\Helper("silent", [], $context))->call();
    } catch (\OMV\Exception $e) {
        $silent = $e->getMessage();
    }
    print(json_encode([
        "request" => $request,
        "progress" => $lines,
        "error" => $error,
        "erreur" => $erreur,
        "language" => [$french->language(), $other->language()],
        "outcome" => \OMV\Octonas\Outcome::lines("apply-experiment", ["drift" => [1, 2], "passwords" => ["ada" => "100%"]], $french),
        "silent" => $silent,
        "bodies" => array_map([\OMV\Octonas\Text::class, "body"], [
            "<!DOCTYPE html>\n<main><p>R&amp;D</p></main>",
            "# Dictionary\n\n`<main><img src=x onerror=alert(1)></main>` is a column\n"
        ])
    ]));
}
