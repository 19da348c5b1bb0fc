<?php

/**
 * Feeds the engine module what OpenMediaVault's database tells its listeners, and prints what became dirty.
 * Usage: php listener.php PATH_OF_octonas.inc
 */

namespace OMV\Engine\Notify {
    interface IListener
    {
    }

    class Dispatcher
    {
        public $listeners = [];

        public function addListener($types, $id, $callback)
        {
            $this->listeners[] = [$types, $id, $callback];
        }

        public function notify($type, $id, ...$arguments)
        {
            foreach ($this->listeners as [$types, $listened, $callback]) {
                if (($types & $type) && $id === $listened) {
                    call_user_func($callback, $type, $id, ...$arguments);
                }
            }
        }
    }
}

namespace OMV\Engine\Module {
    interface INotification
    {
    }

    interface IServiceStatus
    {
    }

    abstract class ServiceAbstract
    {
        public $dirty = 0;

        final public function setDirty()
        {
            ++$this->dirty;
        }
    }
}

namespace OMV\Config {
    class Database
    {
        public static function getInstance()
        {
            return new self();
        }

        public function getAssoc($id)
        {
            $common = ["readers" => "carol", "sharedfolderref" => ""];
            return [
                ["code" => "eco", "path" => "/srv/a/eco", "writers" => "alice,bob", "sharedfolderref" => "f1"] + $common,
                ["code" => "eco-2", "path" => "/srv/ab/eco-2", "writers" => "al"] + $common
            ];
        }
    }
}

namespace OMV\Octonas {
    class Marks
    {
        public static $set = [];

        public static function set($code)
        {
            self::$set[] = $code;
        }
    }
}

namespace {
    define("OMV_NOTIFY_CREATE", 1);
    define("OMV_NOTIFY_MODIFY", 2);
    define("OMV_NOTIFY_PREDELETE", 4);
    define("OMV_NOTIFY_DELETE", 8);

    require $argv[1];

    $old = ["uuid" => "u", "code" => "lake", "sharedfolderref" => "", "readonly" => false, "writers" => "alice"];
    $id = "org.openmediavault.conf.service.octonas.experiment";
    $cases = [
        "created" => [OMV_NOTIFY_CREATE, $id, $old, null],
        "deleted" => [OMV_NOTIFY_DELETE, $id, $old],
        "closed" => [OMV_NOTIFY_MODIFY, $id, ["readonly" => true] + $old, $old],
        "other people" => [OMV_NOTIFY_MODIFY, $id, ["writers" => "bob"] + $old, $old],
        "shared folder and people" =>
            [OMV_NOTIFY_MODIFY, $id, ["sharedfolderref" => "x", "writers" => "bob"] + $old, $old],
        "shared folder alone" => [OMV_NOTIFY_MODIFY, $id, ["sharedfolderref" => "x"] + $old, $old],
        "nothing, in another order" => [OMV_NOTIFY_MODIFY, $id, array_reverse($old), $old],
        "without what was" => [OMV_NOTIFY_MODIFY, $id, $old],
        "about to be deleted" => [OMV_NOTIFY_PREDELETE, $id, $old],
        "a source" => [OMV_NOTIFY_MODIFY, "org.openmediavault.conf.service.octonas.source", $old, $old],
        "another object" => [OMV_NOTIFY_MODIFY, "org.openmediavault.conf.service.octonas", $old, $old],
    ];
    foreach ($cases as $name => $arguments) {
        $module = new \Engined\Module\Octonas();
        $dispatcher = new \OMV\Engine\Notify\Dispatcher();
        $module->bindListeners($dispatcher);
        $dispatcher->notify(...$arguments);
        echo $name, ": ", $module->dirty, "\n";
    }

    $changes = [
        "group" => ["system.usermngmnt.group", ["name" => "exp-eco-w"]],
        "another group" => ["system.usermngmnt.group", ["name" => "exp-eco-writers"]],
        "writer" => ["system.usermngmnt.user", ["name" => "alice"]],
        "reader" => ["system.usermngmnt.user", ["name" => "carol"]],
        "stranger" => ["system.usermngmnt.user", ["name" => ""]],
        "privilege" => ["system.sharedfolder.privilege", ["uuid" => "f1"]],
        "another folder" => ["system.sharedfolder", ["uuid" => ""]],
        "share" => ["service.smb.share", ["sharedfolderref" => "f1"]],
        "disk" => ["system.filesystem.mountpoint", ["dir" => "/srv/a"]],
        "something strange" => ["system.filesystem.mountpoint", []]
    ];
    foreach ($changes as $name => [$id, $object]) {
        \OMV\Octonas\Marks::$set = [];
        $module = new \Engined\Module\Octonas();
        $dispatcher = new \OMV\Engine\Notify\Dispatcher();
        $module->bindListeners($dispatcher);
        $dispatcher->notify(OMV_NOTIFY_MODIFY, "org.openmediavault.conf.$id", $object, $object);
        echo "marked by $name: ", implode(",", \OMV\Octonas\Marks::$set), " dirty ", $module->dirty, "\n";
    }
}
