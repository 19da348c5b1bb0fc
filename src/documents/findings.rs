//! What a probe remarks of a file, in French: its own sentences are in English.

/// A sentence for a code of docs/reference/probe.md; `None` for one without.
pub fn french(code: &str) -> Option<&'static str> {
    Some(match code {
        "csv.duplicate-name" => "plusieurs colonnes portent le même nom",
        "csv.last-line-cut" => {
            "la dernière ligne est incomplète : le fichier est inachevé ou a été tronqué"
        }
        "csv.many-columns" => {
            "les colonnes sont trop nombreuses, seules les premières ont été lues"
        }
        "csv.mixed-decimal" => "des nombres à point et des nombres à virgule se côtoient",
        "csv.no-header" => "aucune ligne ne donne le nom des colonnes",
        "csv.no-rows" => "le tableau ne contient aucune donnée",
        "csv.quote-unclosed" => {
            "un guillemet n'est pas refermé : une cellule peut en avoir absorbé d'autres"
        }
        "csv.ragged" => "certaines lignes n'ont pas le même nombre de cellules que les autres",
        "csv.sentinel" => "une valeur semble tenir lieu de donnée manquante",
        "csv.stray-text" => "des textes se sont glissés parmi les nombres d'une colonne",
        "file.empty" => "le fichier est vide",
        "file.not-regular" => "ce n'est pas un fichier ordinaire",
        "file.shrank" => "le fichier a raccourci pendant la lecture, ou le disque a eu une erreur",
        "hdf5.not-netcdf" => "ce fichier HDF5 n'a pas de dimensions au sens de NetCDF",
        "image.truncated" => "l'image est tronquée",
        "image.unreadable" => "les dimensions de l'image sont illisibles",
        "netcdf.many" => "les variables sont trop nombreuses, seules les premières ont été lues",
        "netcdf.time-units" => "l'unité de la coordonnée de temps est illisible",
        "netcdf.truncated" => {
            "certaines valeurs sont illisibles : le fichier est tronqué ou endommagé"
        }
        "netcdf.unreadable" => "la bibliothèque NetCDF ne peut pas le lire",
        "probe.crashed" | "probe.forbidden" | "probe.killed" | "probe.nonsense" => {
            "l'examen du fichier a échoué"
        }
        "probe.timeout" => "l'examen du fichier a pris trop de temps",
        "text.cut" => "seul le début du texte a été lu",
        "text.mixed-encoding" => "des lignes en UTF-8 et d'autres en Windows-1252 se côtoient",
        "text.nul" => {
            "le texte contient des octets nuls, trace d'une coupure de courant ou d'un disque défaillant"
        }
        "time.ambiguous" => "rien ne dit si le jour précède le mois dans les dates",
        "time.backwards" => {
            "le temps recule par endroits : séries mises bout à bout, ou horloge remise à l'heure"
        }
        "time.contradictory" => "tantôt le jour précède le mois, tantôt l'inverse",
        "time.descending" => "les lignes vont de la plus récente à la plus ancienne",
        "time.inferred" => "l'ordre du jour et du mois est déduit de la régularité des relevés",
        "time.mixed-formats" => "les dates ne sont pas toutes écrites de la même façon",
        "time.repeated" => "plusieurs lignes portent la même date",
        "time.unreadable" => "certaines dates sont illisibles",
        _ => return None,
    })
}
