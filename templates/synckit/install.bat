@echo off
rem Installs the delivery to the NAS: double-click, or right-click "Run as administrator" so that it also runs while
rem nobody is logged on. A folder to watch may be dropped onto this file.
setlocal
cd /d "%~dp0"
set "PYTHON="
where py >nul 2>nul && set "PYTHON=py -3"
if not defined PYTHON where python >nul 2>nul && set "PYTHON=python"
if not defined PYTHON goto missing
%PYTHON% -c "import sys; sys.exit(sys.version_info < (3, 8))" >nul 2>nul
if errorlevel 1 goto missing
if "%~1"=="" (%PYTHON% octonas_sync.py install) else (%PYTHON% octonas_sync.py install --watch "%~1")
if errorlevel 1 goto end
%PYTHON% octonas_sync.py enrol
:end
pause
exit /b
:missing
echo Python 3.8 or later is missing: install it from https://www.python.org/downloads/windows/ ("Add python.exe to PATH").
pause
exit /b 1
